/** `crs identity …` over a client in memory, and the writer of a record as `get` shows it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { initAuthority } from "../../../identity/enrolment/authority_init.ts";
import { signingKeyOfSeed } from "../../../identity/pki/ed25519.ts";
import { mintToken } from "../../../identity/tokens/token.ts";
import { keyIdOf, publishedKeys, withKey } from "../../../identity/tokens/token_keys.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { writerOf } from "../../../src/answers/writer.ts";
import { AuditLog } from "../../../src/system/audit_log.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { inTemporaryFolder } from "../../support/temporary_folder.ts";
import { runCrs } from "../../support/run_crs.ts";

const ID = "93fec554-3756-5eb2-b890-56a0bac8eab3";
const SUBJECT = `spiffe://registry.example/region/eu-1/gateway/${ID}`;

test("crs identity init tells what goes where and what comes next, and never writes twice", () =>
  inTemporaryFolder(async (folder) => {
    const line = `identity init --trust-domain registry.example --region eu-1 --out ${folder}/pki`;
    const { code, stdout, stderr } = await runCrs(line);
    assert.is(code, 0, stderr);
    for (
      const word of ["pki/root: take it offline", "start --authority", "--found", "identity issue"]
    ) {
      assert.match(stdout, word);
    }
    assert.not.match(stdout, "PRIVATE");
    assert.is((await runCrs(line)).code, 2);
    const bad = await runCrs(
      `identity init --trust-domain A_b --region eu-1 --out ${folder}/other`,
    );
    assert.is(bad.code, 2);
  }));

test("crs identity rotate makes one part, and needs the root for what a root signs", () =>
  inTemporaryFolder(async (folder) => {
    const pki = `${folder}/pki`;
    await runCrs(`identity init --trust-domain registry.example --region eu-1 --out ${pki}`);
    const key = await runCrs(`identity rotate token-key --authority ${pki}/authority --json`);
    assert.equal(JSON.parse(key.stdout), {
      part: "token-key",
      file: `${pki}/authority/token-key-2.pem`,
    });
    const rotate = `identity rotate intermediate --authority ${pki}/authority`;
    assert.is((await runCrs(rotate)).code, 2);
    assert.is((await runCrs(`${rotate} --root ${pki}/root`)).code, 0);
    assert.is((await runCrs(`identity rotate nonsense --authority ${pki}/authority`)).code, 2);
  }));

test("crs identity join-token asks for the subject in the own trust domain, with its grants", () =>
  inTemporaryFolder(async (folder) => {
    const { administratorFolder } = await initAuthority({
      folder: `${folder}/pki`,
      trustDomain: "registry.example",
      region: "eu-1",
      nowMs: Date.now(),
      entropy: new SeededEntropy(1),
    });
    const made = { token: "crs-join-x", expiresAtMs: 1_700_000_000_000 };
    const { code, calls, stdout, stderr } = await runCrs(
      `identity join-token agent --id ${ID} --domain a.example --gateway ${ID}` +
        ` --identity ${administratorFolder} --server 192.0.2.1:4443 --json`,
      {
        answers: {
          "identities.createJoinToken": made,
          ringMap: { nodes: [{ addresses: [], currentPin: new Uint8Array(32).fill(1) }] },
        },
      },
    );
    assert.is(code, 0, stderr);
    const subject = SUBJECT.replace("/gateway/", "/agent/");
    assert.equal(calls[0], [
      "identities.createJoinToken",
      subject,
      { domains: ["a.example"], gateways: [ID] },
    ]);
    const { command, ...rest } = JSON.parse(stdout);
    assert.equal(rest.subject, subject);
    assert.match(command, `--server 192.0.2.1:4443 --pin sha256:${"01".repeat(32)}`);

    const start = "start --join [2001:db8::1]:4443 --pin <pin> --token crs-join-x --region eu-1";
    const clusters = [
      [{ members: [{ zone: "" }], partitionCount: 1_024 }, start],
      [{ members: [{ zone: "a" }], partitionCount: 16 }, `${start} --zone <zone> --partitions 16`],
    ] as const;
    for (const [call, wanted] of clusters) {
      const node = await runCrs(
        `identity join-token node --identity ${administratorFolder} --server [2001:db8::1]:4443 --json`,
        { answers: { "identities.createJoinToken": made, ringMap: { nodes: [] }, call } },
      );
      assert.is(node.code, 0, node.stderr);
      assert.ok(JSON.parse(node.stdout).command.endsWith(wanted), node.stdout);
    }
  }));

test("flags of a token limit what its holder reads", async () => {
  const answers = { "identities.issueToken": "crs" };
  const line = `identity token mint --subject ${SUBJECT} --read-region eu-1 --read-region eu-2` +
    " --read-label team=a=b --read-domain *.bank.example";
  const { calls } = await runCrs(line, { answers });
  const [[, order]] = calls as [[string, { grants: unknown }]];
  const limit = {
    regions: ["eu-1", "eu-2"],
    labels: [{ key: "team", value: "a=b" }],
    domains: ["*.bank.example"],
  };
  assert.equal(order.grants, { domains: [], gateways: [], reads: [limit] });
  const bad = await runCrs(`identity token mint --subject ${SUBJECT} --read-label team`, {
    answers,
  });
  assert.equal([bad.code, bad.calls], [2, []]);
});

test("crs identity whoami shows an identity with the rights that it has, and no others", async () => {
  const known = {
    ...{ subject: SUBJECT, role: "gateway", region: "eu-1", lineage: 7, expiresAtMs: 0 },
    grants: {
      ...{ domains: ["a.example", "b.example"], gateways: [], credentialHashes: false },
      reads: [{ regions: ["eu-1", "eu-2"], labels: [{ key: "team", value: "a" }], domains: [] }],
    },
    ...{ scopes: [], front: "" },
  };
  const answers = { "identities.whoAmI": known };
  const { code, stdout, calls } = await runCrs("identity whoami", { answers });
  assert.equal([code, calls], [0, [["identities.whoAmI"]]]);
  assert.is(
    stdout,
    `${SUBJECT}\n` +
      "  role        gateway\n" +
      "  region      eu-1\n" +
      "  lineage     7\n" +
      "  until       1970-01-01T00:00:00.000Z\n" +
      "  domains     a.example, b.example\n" +
      "  reads only  region eu-1 or eu-2, label team=a\n",
  );
  const { stdout: json } = await runCrs("identity whoami --json", { answers });
  assert.equal(JSON.parse(json), known);
  const bare = {
    ...{ subject: "anonymous", role: "anonymous", region: "", lineage: 0, expiresAtMs: null },
    grants: { domains: [], gateways: [], credentialHashes: true, reads: [] },
    ...{ scopes: ["records:read"], front: "spiffe://front" },
  };
  const other = await runCrs("identity whoami", { answers: { "identities.whoAmI": bare } });
  assert.is(
    other.stdout,
    "anonymous\n" +
      "  role               anonymous\n" +
      "  credential hashes  may be read\n" +
      "  scopes             records:read\n" +
      "  by front           spiffe://front\n",
  );
});

test("commands about one's own identity require one to be named", async () => {
  for (const line of ["join-token gateway", "issue --token x", "renew"]) {
    const { code, calls, stderr } = await runCrs(`identity ${line}`);
    assert.equal([code, calls], [2, []], line);
    assert.match(stderr, "--identity", line);
  }
  const { code, calls } = await runCrs("identity join-token king --identity nowhere");
  assert.equal([code, calls], [2, []]);
});

test("crs identity issue makes no folder where something is wrong from the start", () =>
  inTemporaryFolder(async (folder) => {
    const token = `crs-join-${"A".repeat(43)}`;
    const issue =
      `identity issue --identity ${folder}/gateway --server 192.0.2.1:1 --pin sha256:00`;
    const wrong = [
      `${issue} --subject ${SUBJECT} --token nope`,
      `${issue} --subject ${SUBJECT.replace("eu-1", "EU")} --token ${token}`,
      `${issue} --subject ${SUBJECT} --token ${token}`,
      `${issue} --subject ${SUBJECT} --token ${token} --root missing.pem`,
      `${issue} --token ${token}`,
    ];
    for (const line of wrong) {
      const { code, stderr } = await runCrs(line);
      assert.is(code, 2, `${line}: ${stderr}`);
      assert.equal([...Deno.readDirSync(folder)], [], line);
    }
  }));

test("crs identity ban and unban pass the name and the duration", async () => {
  const made = { name: "7", known: true };
  const answers = { "identities.ban": made, "identities.unban": undefined };
  const startMs = Date.now();
  const ban = await runCrs(`identity ban lineage 7 --for 60s --reason stolen --json`, { answers });
  assert.is(ban.code, 0, ban.stderr);
  const [[name, order]] = ban.calls as [[string, { untilMs: number }]];
  assert.is(name, "identities.ban");
  const { untilMs, ...rest } = order;
  assert.equal(rest, { kind: "lineage", name: "7", reason: "stolen" });
  assert.ok(untilMs >= startMs + 60_000 && untilMs <= Date.now() + 60_000);
  const unban = await runCrs(`identity unban subject ${SUBJECT}`, { answers });
  assert.equal(unban.calls, [[
    "identities.unban",
    { kind: "subject", name: SUBJECT, reason: "" },
  ]]);
  const wrong = await runCrs("identity ban planet mars", { answers });
  assert.equal([wrong.code, wrong.calls], [2, []]);
});

test("crs identity ban says where nothing of the name is known", async () => {
  const made = { name: SUBJECT, known: false };
  const { code, stdout } = await runCrs(`identity ban subject ${SUBJECT.toUpperCase()}`, {
    answers: { "identities.ban": made },
  });
  assert.is(code, 0);
  assert.match(stdout, `Banned subject ${SUBJECT}.`);
  assert.match(stdout, "No certificate has been issued to it yet");
});

test("crs identity bans lists all pages, with whom, until when and by whom", async () => {
  const ban = { kind: "subject", name: SUBJECT, reason: "lost", writer: 3, madeAtMs: 1_000 };
  const pages = [[{ ...ban, untilMs: null }], [{ ...ban, name: "other", untilMs: 5_000 }]];
  let calls = 0;
  const answers = { "identities.bans": () => ({ bans: pages[calls++]!, count: 2 }) };
  const text = await runCrs("identity bans", { answers });
  assert.is(text.code, 0, text.stderr);
  for (const word of ["KIND", SUBJECT, "1970-01-01T00:00:05.000Z (over)", "lost", "3"]) {
    assert.match(text.stdout, word);
  }
  calls = 0;
  const { bans } = JSON.parse((await runCrs("identity bans --json", { answers })).stdout);
  assert.equal(bans.map((one: { name: string; ended: boolean }) => [one.name, one.ended]), [
    [SUBJECT, false],
    ["other", true],
  ]);
});

/** Returns an audit log of `count` entries as a node serves it, with `pageEntries` per page. */
function auditLog(count: number, pageEntries = 2) {
  const log = new AuditLog();
  for (let index = 0; index < count; index++) {
    log.append({
      action: index % 2 === 0 ? "enrol" : "ban",
      unixS: 1_700_000_000 + index,
      writer: 3,
      subject: SUBJECT,
      detail: `entry ${index + 1}`,
    });
  }
  const entries = [...log.read(1, count)];
  return (first: number) =>
    Promise.resolve({
      entries: entries.slice(first - 1, first - 1 + pageEntries),
      count,
      anchor: log.anchor,
      head: log.head,
    });
}

test("crs identity audit reads all pages; --verify tells that they hold together", async () => {
  const answers = { "identities.audit": auditLog(5) };
  const { code, stdout, calls } = await runCrs("identity audit --verify", { answers });
  assert.equal([code, calls.length], [0, 3]);
  assert.match(stdout, "Verified the chain of 5 entries");
  assert.match(stdout, /1 +2023-11-14T22:13:20.000Z +enrol +3 +spiffe/);
  const last = await runCrs("identity audit --last 2 --json", { answers });
  const { verified, entries } = JSON.parse(last.stdout);
  assert.is(verified, true);
  assert.equal(entries.map((entry: { number: number }) => entry.number), [4, 5]);
  for (const count of ["0", "x", "-1"]) {
    assert.is((await runCrs(`identity audit --last ${count}`, { answers })).code, 2);
  }
});

test("crs identity audit --verify finds an entry that was changed or left out", async () => {
  const sound = auditLog(4, 10);
  const page = await sound(1);
  const changed = page.entries.map((entry, index) => {
    const copy = entry.slice();
    if (index === 1) copy[copy.length - 9]! ^= 1;
    return copy;
  });
  const broken: Record<string, readonly Uint8Array[]> = {
    changed,
    "left out": page.entries.filter((_, index) => index !== 2),
    "cut off": page.entries.slice(0, 3),
  };
  for (const [what, entries] of Object.entries(broken)) {
    const serve = (first: number) =>
      Promise.resolve({ ...page, entries: first === 1 ? entries : [] });
    const answers = { "identities.audit": serve };
    assert.is((await runCrs("identity audit --verify", { answers })).code, 1, what);
    const { verified } = JSON.parse((await runCrs("identity audit --json", { answers })).stdout);
    assert.is(verified, false, what);
  }
});

test("crs identity token verify checks a token by a file of keys, without a node", async () => {
  const nowMs = Date.now();
  const key = await signingKeyOfSeed(new Uint8Array(32).fill(1));
  const plan = withKey([], key.verifying.bytes, nowMs - 1_000);
  const token = await mintToken({
    issuer: "spiffe://registry.example",
    audience: "api.example",
    subject: SUBJECT,
    tokenId: ID,
    nowMs,
    lifeMs: 60_000,
    leafHash: new Uint8Array(32).fill(2),
    grants: { domains: [], gateways: [] },
  }, { keyId: keyIdOf(key.verifying.bytes), key });
  const files = { "keys.json": publishedKeys(plan, nowMs), "-": `${token}\n` };
  const verify = "identity token verify - --jwks keys.json --audience";
  const good = await runCrs(`${verify} api.example --json`, { files });
  assert.is(good.code, 0, good.stderr);
  assert.is(JSON.parse(good.stdout).subject, SUBJECT);
  assert.equal(good.calls, []);
  const other = await runCrs(`${verify} other.example`, { files });
  assert.is(other.code, 2);
  assert.match(other.stderr, "wrong_audience");
  const issuer = await runCrs(`${verify} api.example --issuer spiffe://other.example`, { files });
  assert.is(issuer.code, 2);
  // By every means that other users of the machine cannot see, and by the one that they can.
  const named = { "keys.json": files["keys.json"], "token.txt": `${token}\n` };
  const rest = "--jwks keys.json --audience api.example";
  const ways: [string, Record<string, string>][] = [
    ["--token-file token.txt", {}],
    ["", { CRS_VERIFY_TOKEN: token }],
    [token, {}],
  ];
  for (const [way, environment] of ways) {
    const { code, stderr } = await runCrs(
      `identity token verify ${way} ${rest}`.replace("  ", " "),
      {
        files: named,
        environment,
      },
    );
    assert.is(code, 0, `${way} ${stderr}`);
  }
  const twice = await runCrs(`identity token verify ${token} --token-file token.txt ${rest}`, {
    files: named,
  });
  assert.is(twice.code, 2);
  assert.match(twice.stderr, "Only one token");
  const none = await runCrs(`identity token verify ${rest}`, { files: named });
  assert.is(none.code, 2);
  assert.match(none.stderr, "CRS_VERIFY_TOKEN");
  const nonsense = await runCrs(`${verify} api.example`, { files: { ...files, "-": "a.b.c" } });
  assert.is(nonsense.code, 2);
});

test("crs identity token mint asks for the own token, or for somebody's with what it grants", async () => {
  const answers = { "identities.mintToken": "a.b.c", "identities.issueToken": "d.e.f" };
  const mint = (line: string) => runCrs(`identity token mint ${line}`, { answers });
  const own = await mint("--audience api.example --life 60");
  assert.equal([own.code, own.stdout], [0, "a.b.c\n"]);
  assert.equal(own.calls, [["identities.mintToken", "api.example", 60_000]]);
  const grants = `--gateway ${ID.toUpperCase()} --domain a.example --domain b.example`;
  const other = await mint(`--subject ${SUBJECT} ${grants} --credential-hashes`);
  assert.equal([other.code, other.stdout], [0, "d.e.f\n"]);
  assert.equal(other.calls, [["identities.issueToken", {
    subject: SUBJECT,
    audience: "spiffe://registry.example/region/eu-1",
    lifeMs: 300_000,
    grants: { domains: ["a.example", "b.example"], gateways: [ID], credentialHashes: true },
  }]]);
  const mistakes = [
    "--life 60",
    "--audience api.example --domain a.example",
    "--subject spiffe://registry.example/gateway",
    `--subject ${SUBJECT} --life 16m`,
    `--subject ${SUBJECT} --gateway g`,
  ];
  for (const line of mistakes) {
    const { code, calls } = await mint(line);
    assert.equal([code, calls], [2, []], line);
  }
});

test("crs identity jwks and bundle print the node's data unchanged", async () => {
  const answers = { "identities.tokenKeys": `{"keys":[]}`, "identities.trustBundle": "" };
  assert.is((await runCrs("identity jwks", { answers })).stdout, `{"keys":[]}\n`);
  const none = await runCrs("identity bundle", { answers });
  assert.is(none.code, 3);
});

test("writerOf says whose certificate a lineage is, as far as the caller may know", async () => {
  const known = { subject: SUBJECT, generation: 2, stopped: "stolen", notAfterMs: 1 };
  const refusing = (code: "permission_denied" | "not_found" | "connection_lost") => () =>
    Promise.reject(new RegistryError(code, "No"));
  const ask = (lineage: number, answer: unknown) =>
    writerOf(new FakeClient({ "identities.lineage": answer }).client, lineage);
  assert.equal(await ask(7, known), { lineage: 7, subject: SUBJECT, stopped: "stolen" });
  assert.is(await ask(0, known), undefined);
  assert.match((await ask(1, known))!.subject, "development");
  assert.is(await ask(7, refusing("permission_denied")), undefined);
  assert.match((await ask(7, refusing("not_found")))!.subject, "forgotten");
  let failed: unknown;
  await ask(7, refusing("connection_lost")).catch((error) => failed = error);
  assert.instance(failed, RegistryError);
});

test.run();
