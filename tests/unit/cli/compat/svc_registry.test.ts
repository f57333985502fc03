/** The settings of svc-registry in terms of this program, and the folder that leaves nothing behind. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { checkInMemory, checkWipeable, wipeFolder } from "../../../../src/cli/compat/amnesia.ts";
import { svcRegistrySettings } from "../../../../src/cli/compat/svc_registry.ts";
import { CliFailure } from "../../../../src/cli/failure.ts";
import { A, B } from "../../../support/governance.ts";
import { inTemporaryFolder } from "../../../support/temporary_folder.ts";

const ALLOWLIST = `a=${A.key.text}, b=${B.key.text}`;

function fieldOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    assert.instance(error, CliFailure);
    return (error as CliFailure).fields.field;
  }
  return undefined;
}

test("svcRegistrySettings: each setting has its place, and flags come before variables", () => {
  const environment = {
    BIND: "127.0.0.1:9400",
    REGISTRY_DB: "/var/lib/registry",
    SIG_THRESHOLD: "2",
    SIGNER_ALLOWLIST: ALLOWLIST,
    LOG_LEVEL: "TRACE",
    METRICS_ADDR: "[::1]:9401",
    AMNESIA: "off",
    READ_CACHE_CAP: "1000",
  };
  const found = svcRegistrySettings({}, environment);
  assert.equal(found.settings, {
    data: "/var/lib/registry",
    logLevel: "debug",
    opsHost: "::1",
    opsPort: "9401",
    readCache: "1000",
  });
  assert.is(found.http, "127.0.0.1:9400");
  assert.is(found.hasAmnesia, false);
  assert.is(found.signers?.threshold, 2);
  assert.equal(found.signers?.signers.map(({ id }) => id), ["a", "b"]);
  assert.equal(found.signers?.signers[1]?.publicKey, B.key.publicKey);
  const flags = {
    ...{ bind: "localhost:1234", db: "/other", sigThreshold: "1" },
    allowSigner: [`b=${B.key.text}`],
  };
  const typed = svcRegistrySettings(flags, environment);
  assert.is(typed.http, "localhost:1234");
  assert.is(typed.settings.data, "/other");
  assert.equal(typed.signers?.signers.map(({ id }) => id), ["b"]);
});

test("svcRegistrySettings: without signers the registry is ungoverned", () => {
  const found = svcRegistrySettings({}, { AMNESIA: "1" });
  assert.equal([found.signers, found.http, found.hasAmnesia], [undefined, undefined, true]);
  assert.equal(found.settings, {});
});

test("svcRegistrySettings: refuses what cannot be meant, and names it", () => {
  const signers = { SIG_THRESHOLD: "1", SIGNER_ALLOWLIST: ALLOWLIST };
  const cases: readonly (readonly [Record<string, string>, string])[] = [
    [{ ...signers, SIG_THRESHOLD: "0" }, "SIG_THRESHOLD"],
    [{ ...signers, SIG_THRESHOLD: "3" }, "SIG_THRESHOLD"],
    [{ ...signers, SIG_THRESHOLD: "two" }, "SIG_THRESHOLD"],
    [{ SIGNER_ALLOWLIST: ALLOWLIST }, "SIG_THRESHOLD"],
    [{ SIG_THRESHOLD: "1" }, "SIGNER_ALLOWLIST"],
    [{ ...signers, SIGNER_ALLOWLIST: "a" }, "SIGNER_ALLOWLIST"],
    [{ ...signers, SIGNER_ALLOWLIST: "a=AAAA" }, "SIGNER_ALLOWLIST"],
    [{ ...signers, SIGNER_ALLOWLIST: `${ALLOWLIST},a=${A.key.text}` }, "SIGNER_ALLOWLIST"],
    [{ BIND: "9400" }, "BIND"],
    [{ METRICS_ADDR: "nowhere" }, "METRICS_ADDR"],
    [{ AMNESIA: "perhaps" }, "AMNESIA"],
    [{ AMNESIA: "constructor" }, "AMNESIA"],
  ];
  for (const [environment, field] of cases) {
    assert.is(fieldOf(() => svcRegistrySettings({}, environment)), field);
  }
  assert.is(fieldOf(() => svcRegistrySettings({ bind: "x" }, {})), "--bind");
  // Whoever reads the setting refuses an unknown level.
  const { settings } = svcRegistrySettings({}, { LOG_LEVEL: "constructor" });
  assert.is(settings.logLevel, "constructor");
});

test("checkInMemory: the file system of the folder, or of the one above it, decides", () => {
  const line = (point: string, type: string) =>
    `1 0 0:1 / ${point} rw,relatime shared:1 - ${type} x rw`;
  const mounts = [line("/", "ext4"), line("/tmp", "tmpfs"), line("/tmp/disk", "xfs")].join("\n");
  const folder = (path: string) => () => checkInMemory(path, mounts);
  assert.not.throws(folder("/tmp/there is none/at all"));
  assert.is(fieldOf(folder("/tmp/disk")), undefined, "there is no such folder: /tmp decides");
  assert.is(fieldOf(folder("/there is none")), "AMNESIA");
  assert.is(fieldOf(() => checkInMemory("/tmp", "")), "AMNESIA");
  const over = [line("/tmp", "tmpfs"), line("/tmp", "ext4")].join("\n");
  assert.is(fieldOf(() => checkInMemory("/tmp", over)), "AMNESIA", "mounted over");
});

test("checkWipeable: only the data of a node, or nothing, may be wiped", () =>
  inTemporaryFolder((folder) => {
    checkWipeable(`${folder}/none`);
    checkWipeable(folder);
    Deno.mkdirSync(`${folder}/log`);
    Deno.writeTextFileSync(`${folder}/node.json`, "{}");
    checkWipeable(folder);
    Deno.writeTextFileSync(`${folder}/letters.txt`, "dear");
    assert.is(fieldOf(() => checkWipeable(folder)), "AMNESIA");
    return Promise.resolve();
  }));

test("wipeFolder: overwrites what other names still show, and follows no links", () =>
  inTemporaryFolder((folder) => {
    Deno.mkdirSync(`${folder}/data/inner`, { recursive: true });
    Deno.writeTextFileSync(`${folder}/outside`, "stays");
    Deno.writeFileSync(`${folder}/data/inner/key`, new Uint8Array(100_000).fill(7));
    Deno.linkSync(`${folder}/data/inner/key`, `${folder}/other`);
    Deno.symlinkSync(`${folder}/outside`, `${folder}/data/link`);
    wipeFolder(`${folder}/data`);
    wipeFolder(`${folder}/data`);
    assert.equal([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "other",
      "outside",
    ]);
    assert.equal(Deno.readFileSync(`${folder}/other`), new Uint8Array(100_000));
    assert.is(Deno.readTextFileSync(`${folder}/outside`), "stays");
    return Promise.resolve();
  }));

test.run();
