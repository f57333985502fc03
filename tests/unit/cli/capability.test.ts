/** `crs identity capability …` over a client in memory. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { mintCapability, readCapability } from "../../../identity/capabilities/capability.ts";
import { rootKeyOf } from "../../../identity/capabilities/root_key.ts";
import { capabilityRefused } from "../../../identity/capabilities/verify.ts";
import { type CrsSurroundings, runCrs } from "../../support/run_crs.ts";

const ROOT = rootKeyOf(new Uint8Array(32).fill(1));
const UUID = "02020202-0202-0202-0202-020202020202";
const CAPABILITY = mintCapability(ROOT, new Uint8Array(16).fill(2), [
  { kind: "scope", any: ["registry:apply", "registry:propose"] },
  { kind: "expiry", atMs: 4_000_000_000_000 },
]);

const crs = (line: string, surroundings?: CrsSurroundings) =>
  runCrs(`identity capability ${line}`, surroundings);

function caveatsOf(text: string) {
  const form = readCapability(text.trim());
  if (typeof form === "string") throw new Error(form);
  return form.caveats;
}

test("mint passes the caveats of its flags and prints the capability alone", async () => {
  const answers = { "identities.mintCapability": CAPABILITY };
  const { code, calls, stdout, stderr } = await crs(
    "mint --scope registry:propose --scope registry:apply --ttl 1m --id-prefix svc- " +
      "--address 10.0.0.0/8 --method POST --path /v1/registry",
    { answers },
  );
  assert.equal([code, stdout], [0, `${CAPABILITY}\n`], stderr);
  const [[name, order]] = calls as [[string, { caveats: unknown; lifeMs: number }]];
  assert.equal([name, order.lifeMs], ["identities.mintCapability", 60_000]);
  assert.equal(order.caveats, [
    { kind: "scope", any: ["registry:propose", "registry:apply"] },
    { kind: "idPrefix", any: ["svc-"] },
    { kind: "path", any: ["/v1/registry"] },
    { kind: "method", any: ["POST"] },
    { kind: "address", any: ["10.0.0.0/8"] },
  ]);
  const { json } = {
    json: JSON.parse((await crs("mint --scope status:read --json", { answers })).stdout),
  };
  assert.equal([json.capability, json.id], [CAPABILITY, UUID]);
});

test("mint refuses before it connects what no node would take", async () => {
  const lines = ["mint", "mint --scope everything", "mint --scope status:read --ttl 31d"];
  for (const line of [...lines, "mint --scope status:read --path v1"]) {
    const { code, calls, stderr } = await crs(line);
    assert.equal([code, calls], [2, []], `${line}: ${stderr}`);
  }
});

test("attenuate adds caveats offline, from a file, standard input or the variable", async () => {
  const expected = [...caveatsOf(CAPABILITY), { kind: "method", any: ["GET"] }];
  const line = "attenuate --method GET";
  const files = { cap: `${CAPABILITY}\n`, "-": CAPABILITY };
  const runs = [
    await crs(`${line} --capability-file cap`, { files }),
    await crs(`${line} --capability-file -`, { files }),
    await crs(`${line} -`, { files }),
    await crs(line, { environment: { CRS_CAPABILITY: CAPABILITY } }),
    await crs(`${line} ${CAPABILITY}`),
  ];
  for (const { code, stdout, stderr } of runs) {
    assert.is(code, 0, stderr);
    assert.equal(caveatsOf(stdout), expected);
  }
  const sooner = await crs(`attenuate --ttl 60s ${CAPABILITY}`);
  const { atMs } = caveatsOf(sooner.stdout).at(-1) as { atMs: number };
  assert.ok(atMs > Date.now() + 50_000 && atMs <= Date.now() + 60_000);
});

test("attenuate refuses without a caveat, and never shows what else it was given", async () => {
  const none = await crs(`attenuate ${CAPABILITY}`);
  assert.is(none.code, 2);
  const other = await crs("attenuate --method GET --capability-file x", {
    files: { x: "crs-join-x" },
  });
  assert.is(other.code, 2);
  assert.not.match(other.stderr, "crs-join-x");
  assert.is((await crs("attenuate --method GET")).code, 2);
});

test("inspect shows id, key and caveats, and that nothing is proven", async () => {
  const { code, stdout, stderr } = await crs(`inspect ${CAPABILITY}`);
  assert.is(code, 0);
  for (const word of [UUID, ROOT.keyId, "scope registry:apply or registry:propose", "until 2096"]) {
    assert.match(stdout, word);
  }
  assert.match(stderr, "Nothing of this is proven");
  const { caveats } = JSON.parse((await crs(`inspect --json ${CAPABILITY}`)).stdout);
  assert.equal(caveats, [
    { scope: ["registry:apply", "registry:propose"] },
    { expiry: "2096-10-02T07:06:40.000Z" },
  ]);
  assert.is((await crs("inspect crs-cap-x")).code, 2);
});

test("verify asks a node, and checks a request against the caveats that are left", async () => {
  const answers = { "identities.verifyCapability": { capabilityId: UUID, expiresAtMs: 1 } };
  const narrow = (await crs(`attenuate --path /v1/registry --method GET ${CAPABILITY}`)).stdout
    .trim();
  const plain = await crs(`verify ${narrow}`, { answers });
  assert.equal(plain.calls, [["identities.verifyCapability", narrow]]);
  assert.match(plain.stdout, "The capability is valid");
  assert.match(
    plain.stderr,
    "Still to be checked by whoever serves the request: path /v1/registry",
  );
  const request = `--address 127.0.0.1 --path /v1/registry/version --method`;
  const within = await crs(`verify ${narrow} ${request} GET --json`, { answers });
  assert.equal([within.code, JSON.parse(within.stdout).unchecked], [0, []]);
  const outside = await crs(`verify ${narrow} ${request} POST`, { answers });
  assert.is(outside.code, 2);
  assert.match(outside.stderr, "wrong_method");
  assert.is((await crs(`verify ${narrow} --method GET`, { answers })).code, 2);
  const banned = await crs(`verify ${narrow}`, {
    answers: { "identities.verifyCapability": () => Promise.reject(capabilityRefused("banned")) },
  });
  assert.is(banned.code, 2);
  assert.match(banned.stderr, "is refused: banned\n  Mint another one");
});

test.run();
