/**
 * The folders of a trust domain: created once, opened by nodes, and given new keys while in use.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { initAuthority, type InitResult } from "../../../../identity/enrolment/authority_init.ts";
import {
  keyIdentifierOf,
  openAuthorityFolder,
  readCheckpointKeys,
} from "../../../../identity/files/authority_folder.ts";
import { rotateAuthority } from "../../../../identity/enrolment/authority_rotation.ts";
import { IdentityFolder } from "../../../../identity/files/identity_folder.ts";
import { intermediateSteps } from "../../../../identity/enrolment/intermediate_schedule.ts";
import { heldIntermediates } from "../../../../identity/trust/bundle_publication.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { INTERMEDIATE_LIFE_MS } from "../../../../src/base/limits.ts";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import { NOW_MS } from "../../../support/test_pki.ts";
import { codeOf } from "../../../support/refusal.ts";
import { inTemporaryFolder } from "../../../support/temporary_folder.ts";

const entropy = new SeededEntropy(1);

function inFolder(run: (made: InitResult, folder: string) => Promise<void>): Promise<void> {
  return inTemporaryFolder(async (folder) => run(await init(`${folder}/pki`), folder));
}

function init(folder: string): Promise<InitResult> {
  const trustDomain = "registry.example";
  return initAuthority({ folder, trustDomain, region: "eu-1", nowMs: NOW_MS, entropy });
}

const modes = (folder: string) =>
  Object.fromEntries(
    [...Deno.readDirSync(folder)].map(({ name }) => [
      name,
      (Deno.statSync(`${folder}/${name}`).mode! & 0o777).toString(8),
    ]),
  );

test("initAuthority writes keys for their owner alone, and no root's key for the nodes", () =>
  inFolder((made) => {
    assert.equal(modes(made.rootFolder), { "root-key.pem": "600" });
    assert.equal(modes(made.authorityFolder), {
      "authority.json": "644",
      "bundle-signer.pem": "600",
      "capability-key-1.key": "600",
      "intermediate-1.pem": "600",
      "intermediate-2.pem": "600",
      "root.pem": "644",
      "checkpoint-key-1.pem": "600",
      "token-key-1.pem": "600",
    });
    assert.equal(modes(made.administratorFolder), {
      "identity.json": "644",
      "key.pem": "600",
      "root.pem": "644",
    });
    assert.not.match(Deno.readTextFileSync(`${made.authorityFolder}/root.pem`), /PRIVATE/);
    return Promise.resolve();
  }));

test("initAuthority never writes over a trust domain", () =>
  inFolder(async (made, folder) => {
    const before = Deno.readTextFileSync(`${made.rootFolder}/root-key.pem`);
    assert.is(await codeOf(init(`${folder}/pki`)), "invalid_argument");
    assert.is(Deno.readTextFileSync(`${made.rootFolder}/root-key.pem`), before);
  }));

test("initAuthority refuses names that no node takes, and leaves nothing behind", async () => {
  const folder = await Deno.makeTempDir();
  const names = [
    ["registry.example", "EU"],
    ["registry.example", "EU 1"],
    ["registry.example", "eu/1"],
    ["registry.example", ""],
    ["Registry.example", "eu-1"],
    ["registry..example", "eu-1"],
    ["", "eu-1"],
  ] as const;
  for (const [trustDomain, region] of names) {
    const options = { folder: `${folder}/pki`, trustDomain, region, nowMs: NOW_MS, entropy };
    assert.is(await codeOf(initAuthority(options)), "invalid_argument", `${trustDomain} ${region}`);
    assert.equal([...Deno.readDirSync(folder)], []);
  }
  assert.is(await codeOf(init(`${folder}/pki/`)), "ok");
  assert.equal([...Deno.readDirSync(folder)].map(({ name }) => name), ["pki"]);
  await Deno.remove(folder, { recursive: true });
});

test("initAuthority makes all or nothing, also in a folder that exists", async () => {
  const folder = await Deno.makeTempDir();
  Deno.writeTextFileSync(`${folder}/notes.txt`, "mine");
  assert.is(await codeOf(init(`${folder}/notes.txt`)), "invalid_argument");
  assert.is(await codeOf(init("")), "invalid_argument");
  const refused = () => {
    throw new RegistryError("storage_unavailable", "A part could not be moved");
  };
  // It fails half-way, after half of the files were written.
  let fills = 0;
  const failing = {
    unit: () => entropy.unit(),
    fill: (bytes: Uint8Array) => {
      if (++fills === 8) throw new RegistryError("internal", "No entropy");
      entropy.fill(bytes);
    },
  } as typeof entropy;
  const options = { folder, trustDomain: "a.example", region: "eu-1", nowMs: NOW_MS };
  assert.is(await codeOf(initAuthority({ ...options, entropy: failing })), "internal");
  assert.equal([...Deno.readDirSync(folder)].map(({ name }) => name), ["notes.txt"]);
  // The place of the last part is taken by an invisible obstacle: a dangling link.
  Deno.symlinkSync("nowhere", `${folder}/administrator`);
  assert.is.not(await codeOf(initAuthority({ ...options, entropy }).catch(refused)), "ok");
  assert.equal(
    [...Deno.readDirSync(folder)].map(({ name }) => name).sort(),
    ["administrator", "notes.txt"],
  );
  Deno.removeSync(`${folder}/administrator`);
  assert.is(await codeOf(initAuthority({ ...options, entropy })), "ok");
  assert.equal(
    [...Deno.readDirSync(folder)].map(({ name }) => name).sort(),
    ["administrator", "authority", "notes.txt", "root"],
  );
  await Deno.remove(folder, { recursive: true });
});

test("the folders that initAuthority created open, and contain the administrator's key", () =>
  inFolder(async (made) => {
    const held = await openAuthorityFolder(made.authorityFolder);
    assert.equal([held.trustDomain, held.region], ["registry.example", "eu-1"]);
    const folder = new IdentityFolder(made.administratorFolder);
    assert.is(folder.subject, made.administrator);
    const { bytes } = (await folder.firstKey(entropy)).verifying;
    assert.equal(held.administrators, [{ subject: made.administrator, publicKey: bytes }]);
  }));

test("first two intermediates: one signs at once, the other from half of its validity on", () =>
  inFolder(async (made) => {
    const held = await openAuthorityFolder(made.authorityFolder);
    const [first, second] = held.intermediates.map((one) => keyIdentifierOf(one.certificate));
    const publishedAtMs = NOW_MS;
    const at = (nowMs: number) => {
      const known = heldIntermediates(held, undefined, NOW_MS)
        .map((one) => ({ ...one, publishedAtMs: one.publishedAtMs ?? publishedAtMs }));
      return intermediateSteps(known, nowMs);
    };
    assert.equal(at(NOW_MS).signer?.keyId, first);
    assert.is(at(NOW_MS).named.length, 2);
    assert.is(at(NOW_MS).needsFollower, false);
    const half = NOW_MS + INTERMEDIATE_LIFE_MS / 2;
    assert.equal(at(half - 7_200_000).signer?.keyId, first);
    assert.equal(at(half + 7_200_000).signer?.keyId, second);
  }));

test("rotateAuthority adds keys beside the old ones, and replaces who signs bundles", () =>
  inFolder(async ({ authorityFolder, rootFolder }) => {
    const before = await openAuthorityFolder(authorityFolder);
    const options = { authorityFolder, nowMs: NOW_MS, entropy };
    const file = await rotateAuthority({ ...options, part: "token-key" });
    assert.is(file, `${authorityFolder}/token-key-2.pem`);
    await rotateAuthority({ ...options, part: "intermediate", rootFolder });
    await rotateAuthority({ ...options, part: "bundle-signer", rootFolder });
    const after = await openAuthorityFolder(authorityFolder);
    assert.equal(after.tokenKeys.map(({ keyId }) => keyId).slice(0, 1), [
      before.tokenKeys[0]!.keyId,
    ]);
    assert.is(after.tokenKeys.length, 2);
    assert.is(after.intermediates.length, 3);
    assert.is.not(after.bundleSigner.keyPem, before.bundleSigner.keyPem);
    assert.is(modes(authorityFolder)["intermediate-3.pem"], "600");
  }));

test("rotateAuthority numbers root keys of capabilities on, as old ones are removed", () =>
  inFolder(async ({ authorityFolder }) => {
    const [first] = (await openAuthorityFolder(authorityFolder)).capabilityKeys;
    const options = { authorityFolder, nowMs: NOW_MS, entropy, part: "capability-key" } as const;
    assert.is(await rotateAuthority(options), `${authorityFolder}/capability-key-2.key`);
    const both = await openAuthorityFolder(authorityFolder);
    assert.is(both.capabilityKeys.length, 2);
    assert.is(both.capabilityKeys[0]!.keyId, first!.keyId);
    Deno.removeSync(`${authorityFolder}/capability-key-1.key`);
    assert.is(await rotateAuthority(options), `${authorityFolder}/capability-key-3.key`);
    const { capabilityKeys } = await openAuthorityFolder(authorityFolder);
    assert.is(capabilityKeys[0]!.keyId, both.capabilityKeys[1]!.keyId);
    assert.is(modes(authorityFolder)["capability-key-3.key"], "600");
  }));

test("rotateAuthority numbers keys of checkpoints on, as the newest is the one to be listed", () =>
  inFolder(async ({ authorityFolder }) => {
    const options = { authorityFolder, nowMs: NOW_MS, entropy, part: "checkpoint-key" } as const;
    assert.is(await rotateAuthority(options), `${authorityFolder}/checkpoint-key-2.pem`);
    Deno.removeSync(`${authorityFolder}/checkpoint-key-1.pem`);
    const [second] = await readCheckpointKeys(authorityFolder);
    assert.is(await rotateAuthority(options), `${authorityFolder}/checkpoint-key-3.pem`);
    const keys = await readCheckpointKeys(authorityFolder);
    assert.is(keys.length, 2);
    assert.equal(keys[0]!.verifying.bytes, second!.verifying.bytes);
  }));

test("openAuthorityFolder takes a folder without root keys of capabilities, and no damaged one", () =>
  inFolder(async ({ authorityFolder }) => {
    const path = `${authorityFolder}/capability-key-1.key`;
    const text = Deno.readTextFileSync(path);
    Deno.removeSync(path);
    assert.equal((await openAuthorityFolder(authorityFolder)).capabilityKeys, []);
    Deno.writeTextFileSync(path, text.slice(0, -4), { mode: 0o600 });
    assert.is(await codeOf(openAuthorityFolder(authorityFolder)), "invalid_configuration");
    Deno.writeTextFileSync(path, text);
    Deno.chmodSync(path, 0o640);
    assert.is(await codeOf(openAuthorityFolder(authorityFolder)), "invalid_configuration");
  }));

test("rotateAuthority needs the root for what a root signs", () =>
  inFolder(async ({ authorityFolder, administratorFolder }) => {
    const options = { authorityFolder, nowMs: NOW_MS, entropy, part: "intermediate" } as const;
    assert.is(await codeOf(rotateAuthority(options)), "invalid_argument");
    const wrong = { ...options, rootFolder: administratorFolder };
    assert.is(await codeOf(rotateAuthority(wrong)), "invalid_argument");
    assert.is(modes(authorityFolder)["intermediate-3.pem"], undefined);
  }));

test.run();
