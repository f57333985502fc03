/** The folder of one identity: keys before certificates, crashes in between, no files of others. */
import { existsSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { IdentityFolder } from "../../../../identity/files/identity_folder.ts";
import { encodePem } from "../../../../identity/pki/pem.ts";
import { createTrustBundle } from "../../../../identity/trust/trust_bundle.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { FolderAuthority } from "../../../support/folder_authority.ts";
import { AGENT, createTestPki, DAY_MS, MINUTE_MS, NOW_MS } from "../../../support/test_pki.ts";
import { inTemporaryFolder } from "../../../support/temporary_folder.ts";

const pki = await createTestPki();
const authority = new FolderAuthority(pki);
const OTHER = AGENT.slice(0, -4) + "0000";

function inFolder(run: (path: string) => Promise<void>): Promise<void> {
  return inTemporaryFolder((root) => run(`${root}/identity`));
}

async function code(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
    return "ok";
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
}

test("firstKey is on the disk, for its owner alone, and stays the same", () =>
  inFolder(async (path) => {
    const folder = new IdentityFolder(path);
    folder.create(AGENT);
    const first = await folder.firstKey(pki.entropy);
    const again = await new IdentityFolder(path).firstKey(pki.entropy);
    assert.equal(first.verifying.bytes, again.verifying.bytes);
    assert.is(Deno.statSync(`${path}/key.pem`).mode! & 0o777, 0o600);
    assert.is(Deno.statSync(path).mode! & 0o777, 0o700);
  }));

test("create refuses the folder of another subject", () =>
  inFolder(async (path) => {
    const folder = new IdentityFolder(path);
    folder.create(AGENT);
    folder.create(AGENT);
    assert.is(
      await code(() => Promise.resolve().then(() => folder.create(OTHER))),
      "invalid_argument",
    );
    assert.is(folder.subject, AGENT);
  }));

test("discard takes back a new folder, never one with a certificate or with files of others", () =>
  inFolder(async (path) => {
    const folder = new IdentityFolder(path);
    assert.is(folder.create(AGENT), true);
    assert.is(folder.create(AGENT), false);
    await folder.firstKey(pki.entropy);
    Deno.writeTextFileSync(`${path}/notes.txt`, "mine");
    folder.discard();
    assert.equal([...Deno.readDirSync(path)].map(({ name }) => name), ["notes.txt"]);
    Deno.removeSync(`${path}/notes.txt`);
    assert.is(folder.create(OTHER), true);
    folder.discard();
    assert.is(existsSync(path), false);
    const issued = await authority.folder(path, NOW_MS);
    issued.discard();
    assert.is((await issued.open(NOW_MS)).identity.subject, AGENT);
  }));

test("open gives the identity that was kept, and refuses one that has ended", () =>
  inFolder(async (path) => {
    const folder = await authority.folder(path, NOW_MS);
    const own = await new IdentityFolder(path).open(NOW_MS);
    assert.equal([own.identity.subject, own.identity.lineage], [AGENT, 7]);
    assert.is(await code(() => folder.open(NOW_MS + 61 * MINUTE_MS)), "unauthenticated");
  }));

test("keep refuses a certificate of another subject, another key, another root", () =>
  inFolder(async (path) => {
    const folder = await authority.folder(path, NOW_MS);
    const before = Deno.readTextFileSync(`${path}/certificate.pem`);
    const { bytes } = (await folder.key()).verifying;
    const foreign = new FolderAuthority(await createTestPki(2));
    const chains = [
      await authority.issue(bytes, NOW_MS, OTHER),
      await authority.issue(pki.leafKey.verifying.bytes, NOW_MS),
      await foreign.issue(bytes, NOW_MS),
    ];
    for (const chain of chains) {
      assert.is.not(await code(() => folder.keep(chain, "", NOW_MS)), "ok");
    }
    assert.is(Deno.readTextFileSync(`${path}/certificate.pem`), before);
  }));

test("keepNext puts the next key in the place of the current one", () =>
  inFolder(async (path) => {
    const folder = await authority.folder(path, NOW_MS);
    const before = await folder.key();
    const next = await folder.nextKey(pki.entropy);
    assert.not.equal(next.verifying.bytes, before.verifying.bytes);
    await folder.keepNext(await authority.issue(next.verifying.bytes, NOW_MS), "", NOW_MS);
    assert.equal((await folder.key()).verifying.bytes, next.verifying.bytes);
    assert.equal((await folder.open(NOW_MS)).key.verifying.bytes, next.verifying.bytes);
    assert.not.equal((await folder.nextKey(pki.entropy)).verifying.bytes, next.verifying.bytes);
  }));

test("open mends a crash between the next certificate and its key", () =>
  inFolder(async (path) => {
    const folder = await authority.folder(path, NOW_MS);
    const next = await folder.nextKey(pki.entropy);
    const chain = await authority.issue(next.verifying.bytes, NOW_MS);
    const pem = chain.map((der) => encodePem("CERTIFICATE", der)).join("");
    Deno.writeTextFileSync(`${path}/certificate.pem`, pem);
    assert.equal((await folder.open(NOW_MS)).key.verifying.bytes, next.verifying.bytes);
    assert.equal((await folder.key()).verifying.bytes, next.verifying.bytes);
  }));

test("a key that others may read is refused", () =>
  inFolder(async (path) => {
    const folder = await authority.folder(path, NOW_MS);
    Deno.chmodSync(`${path}/key.pem`, 0o644);
    assert.is.not(await code(() => folder.open(NOW_MS)), "ok");
  }));

test("keepRoots never replaces the roots that are there", () =>
  inFolder(async (path) => {
    const folder = await authority.folder(path, NOW_MS);
    const before = Deno.readTextFileSync(`${path}/root.pem`);
    folder.keepRoots("another");
    assert.is(Deno.readTextFileSync(`${path}/root.pem`), before);
  }));

async function bundle(sequence: number): Promise<string> {
  const signer = await pki.root.authority.createBundleSigner({
    notBeforeMs: NOW_MS - DAY_MS,
    notAfterMs: NOW_MS + 60 * DAY_MS,
    entropy: pki.entropy,
  });
  return await createTrustBundle({
    trustDomain: "registry.example",
    sequence,
    issuedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + 30 * DAY_MS,
    roots: [pki.root.certificate.der],
    intermediates: [pki.intermediate.certificate.der],
    servers: [],
  }, signer);
}

test("keepBundle takes newer bundles of the own roots, and nothing else", () =>
  inFolder(async (path) => {
    const folder = await authority.folder(path, NOW_MS);
    assert.is((await folder.trust(NOW_MS)).bundle, undefined);
    await folder.keepBundle(await bundle(2), NOW_MS);
    assert.is((await folder.trust(NOW_MS)).bundle?.sequence, 2);
    assert.is(
      await code(async () => await folder.keepBundle(await bundle(1), NOW_MS)),
      "unauthenticated",
    );
    assert.is(await code(() => folder.keepBundle("{}", NOW_MS)), "unauthenticated");
    assert.is((await folder.trust(NOW_MS)).bundle?.sequence, 2);
    // When it has ended, the roots remain.
    const later = await folder.trust(NOW_MS + 31 * DAY_MS);
    assert.equal([later.bundle, later.store.roots.length], [undefined, 1]);
  }));

test.run();
