/** `crs governance keygen` and `crs descriptor sign`: what they write is what the plane accepts. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { statSync } from "node:fs";
import { decodeBase64 } from "../../../src/base/base64.ts";
import { GOVERNED_PAYLOAD_BYTES_MAX } from "../../../src/base/limits.ts";
import { runCli } from "../../../src/cli/program.ts";
import { NO_PREVIOUS, signingMessage } from "../../../src/governance/documents/content_id.ts";
import { canonicalPayload } from "../../../src/governance/documents/payload.ts";
import { readSignature } from "../../../src/governance/documents/signature.ts";
import { verifyAgreed } from "../../../src/signing/ed25519_verdict.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { FakeTerminal } from "../../support/fake_terminal.ts";
import { GovernanceHarness } from "../../support/governance.ts";
import { readerOf } from "../../support/governed_view.ts";
import { inTemporaryFolder } from "../../support/temporary_folder.ts";

const PAYLOAD = { id: "svc-storage", kind: "service", body: { b: 1, a: [1.50] } };

async function crs(line: string, files: Record<string, string> = {}) {
  const terminal = new FakeTerminal({ files });
  const code = await runCli(line.split(" "), {
    terminal,
    connect: () => Promise.reject(new Error("An offline command connects to nothing")),
  });
  return { code, stdout: terminal.stdout, stderr: terminal.stderr };
}

test("crs governance keygen prints id=publickey, and keeps the key private and once", () =>
  inTemporaryFolder(async (folder) => {
    const { code, stdout } = await crs(`governance keygen --out ${folder}/a.key`);
    assert.is(code, 0);
    assert.match(stdout, /^a=[A-Za-z0-9+/]{43}=\n$/);
    assert.is(statSync(`${folder}/a.key`).mode & 0o777, 0o600);
    const again = await crs(`governance keygen --out ${folder}/a.key`);
    assert.is(again.code, 2);
    assert.match(again.stderr, "there already");
    const named = await crs(`governance keygen --out ${folder}/b.key --id org:alpha#key1 --json`);
    assert.is(JSON.parse(named.stdout).signer_id, "org:alpha#key1");
    assert.is((await crs(`governance keygen --out ${folder}/c.key --id a=b`)).code, 2);
  }));

test("crs descriptor sign signs the canonical form, whatever the spelling of the file", () =>
  inTemporaryFolder(async (folder) => {
    const made = await crs(`governance keygen --out ${folder}/a.key --json`);
    const publicKey = decodeBase64(JSON.parse(made.stdout).public_key)!;
    const full = { schema: "descriptor/1", version: 1, prev_hash: NO_PREVIOUS, ...PAYLOAD };
    const { contentId } = canonicalPayload(full);
    const spellings = [JSON.stringify(PAYLOAD), JSON.stringify(full, undefined, 4)];
    for (const text of spellings) {
      const line = `descriptor sign --file p.json --key ${folder}/a.key --out ${folder}/a.sig`;
      const { code, stdout, stderr } = await crs(line, { "p.json": text });
      assert.is(code, 0, stderr);
      assert.match(stdout, contentId);
      const { signerId, signature } = readSignature(
        JSON.parse(Deno.readTextFileSync(`${folder}/a.sig`)),
      );
      assert.is(signerId, "a");
      assert.is(verifyAgreed(publicKey, signingMessage(contentId), signature), true);
    }
  }));

test("crs descriptor sign does not write the signature over the key or the payload", () =>
  inTemporaryFolder(async (folder) => {
    await crs(`governance keygen --out ${folder}/a.key`);
    const key = Deno.readTextFileSync(`${folder}/a.key`);
    const files = { "p.json": JSON.stringify(PAYLOAD) };
    const line = `descriptor sign --file p.json --key ${folder}/a.key --out`;
    for (const out of [`${folder}/./a.key`, "./p.json"]) {
      const { code, stderr } = await crs(`${line} ${out}`, files);
      assert.is(code, 2, out);
      assert.match(stderr, "--out must be another file");
    }
    assert.is(Deno.readTextFileSync(`${folder}/a.key`), key);
  }));

test("crs descriptor sign refuses what no payload can be, and keys that others may read", () =>
  inTemporaryFolder(async (folder) => {
    await crs(`governance keygen --out ${folder}/a.key`);
    const line = `descriptor sign --file p.json --key ${folder}/a.key --out ${folder}/a.sig`;
    const wrong = [
      '{"id":"a","id":"b","kind":"service","body":{}}',
      JSON.stringify({ ...PAYLOAD, kind: "gateway" }),
      JSON.stringify({ ...PAYLOAD, version: 2 }),
      JSON.stringify({ ...PAYLOAD, extra: 1 }),
      JSON.stringify({ ...PAYLOAD, body: { text: "x".repeat(GOVERNED_PAYLOAD_BYTES_MAX) } }),
      "[]",
      "",
    ];
    for (const text of wrong) {
      assert.is((await crs(line, { "p.json": text })).code, 2, text.slice(0, 99));
    }
    const files = { "p.json": JSON.stringify(PAYLOAD) };
    const missing = await crs(line.replace("a.key", "none.key"), files);
    assert.match(missing.stderr, "There is no key");
    Deno.writeTextFileSync(`${folder}/junk.key`, "{}", { mode: 0o600 });
    assert.is((await crs(line.replace("a.key", "junk.key"), files)).code, 2);
    Deno.chmodSync(`${folder}/a.key`, 0o644);
    assert.match((await crs(line, files)).stderr, "other users may open it");
  }));

test("crs descriptor get shows the version that is named, and an unknown one is not found", async () => {
  const harness = new GovernanceHarness();
  for (let step = 0; step < 2; step++) {
    assert.is(harness.decide(harness.next({ id: "svc" })), "ok");
  }
  const get = async (line: string) => {
    const terminal = new FakeTerminal({});
    const { client } = new FakeClient({ "governed.view": readerOf(harness).governed.view });
    const close = () => Promise.resolve();
    const connect = () =>
      Promise.resolve({ client, endpoints: [], timeoutMs: 1_000, region: "global", close });
    const code = await runCli(`descriptor get ${line}`.split(" "), { terminal, connect });
    return { code, stdout: terminal.stdout, stderr: terminal.stderr };
  };
  for (const [line, version] of [["", 2], [" --version 1", 1], [" --version 2", 2]] as const) {
    const { code, stdout, stderr } = await get(`--id svc${line}`);
    assert.is(code, 0, stderr);
    assert.is(JSON.parse(stdout).version, version);
  }
  for (const line of ["--id svc --version 3", "--id other"]) {
    const { code, stderr } = await get(line);
    assert.is(code, 3, line);
    assert.match(stderr, "There is no descriptor ");
  }
});

test("crs descriptor verify refuses a --genesis that is no hash before it connects", async () => {
  for (const genesis of ["97ab", `sha256:${"0".repeat(63)}`, "0".repeat(64)]) {
    const { code, stderr } = await crs(`descriptor verify --genesis ${genesis}`);
    assert.is(code, 2);
    assert.match(stderr, "--genesis must be sha256: and 64 hexadecimal digits");
  }
});

test.run();
