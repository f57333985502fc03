/** Which key signs checkpoints, and what happens where there is none. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type SigningKey, signingKeyOfSeed } from "../../../identity/pki/ed25519.ts";
import { encodeBase64 } from "../../../src/base/base64.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { CHECKPOINT_KEPT_MS } from "../../../src/base/limits.ts";
import { genesisOf } from "../../../src/governance/documents/genesis.ts";
import { GovernedPlane } from "../../../src/governance/governed_plane.ts";
import { isCheckpointSignedBy, readCheckpoint } from "../../../src/governance/tree/checkpoint.ts";
import { Checkpoints } from "../../../src/serving/governance/checkpoints.ts";
import { A } from "../../support/governance.ts";

const keys = await Promise.all(
  [1, 2, 3].map((byte) => signingKeyOfSeed(new Uint8Array(32).fill(byte))),
);
const [first, second, third] = keys as [SigningKey, SigningKey, SigningKey];

/** Returns a plane whose signer set lists these keys. */
function planeOf(...listed: readonly SigningKey[]): GovernedPlane {
  const checkpointKeys = listed.map(({ verifying }) => encodeBase64(verifying.bytes));
  return new GovernedPlane(
    genesisOf({ threshold: 1, signers: new Map([[A.id, A.key.text]]), checkpointKeys }),
  );
}

/** Checkpoints of a node with these keys, and a clock that the test sets. */
function nodeWith(...own: readonly SigningKey[]) {
  const clock = { ms: 1_000 };
  const checkpoints = new Checkpoints({
    wall: { unixMs: () => 1_800_000_000_000 + clock.ms },
    monotonic: { nowMs: () => clock.ms },
  });
  checkpoints.keys = { ...checkpoints.keys, own: () => Promise.resolve(own) };
  return { checkpoints, clock };
}

function signerOf(note: string): SigningKey | undefined {
  return keys.find(({ verifying }) => isCheckpointSignedBy(readCheckpoint(note)!, verifying.bytes));
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    assert.instance(error, RegistryError);
    return (error as RegistryError).code;
  }
  return "ok";
}

test("Checkpoints: the newest key signs that the signer set lists", async () => {
  const { checkpoints } = nodeWith(first, second, third);
  assert.is(signerOf(await checkpoints.noteOf(planeOf(first, second))), second);
  assert.equal(await checkpoints.publicKey(), third.verifying.bytes);
});

test("Checkpoints: a note is shown again for a while, unless the log is another one", async () => {
  const { checkpoints, clock } = nodeWith(first);
  const plane = planeOf(first);
  const note = await checkpoints.noteOf(plane);
  clock.ms += CHECKPOINT_KEPT_MS - 1;
  assert.is(await checkpoints.noteOf(plane), note);
  clock.ms += 1;
  const later = await checkpoints.noteOf(plane);
  assert.is(readCheckpoint(later)!.unixS - readCheckpoint(note)!.unixS, CHECKPOINT_KEPT_MS / 1_000);
});

test("Checkpoints: a node without a key has another one sign, by that node's clock and keys", async () => {
  const holder = nodeWith(second);
  holder.clock.ms += 5_000;
  const { checkpoints } = nodeWith();
  assert.is(await codeOf(checkpoints.noteOf(planeOf(second))), "invalid_configuration");
  assert.is(await codeOf(checkpoints.publicKey()), "invalid_configuration");
  checkpoints.keys = { ...checkpoints.keys, ask: (request) => holder.checkpoints.sign(request) };
  const note = await checkpoints.noteOf(planeOf(second));
  assert.is(signerOf(note), second);
  assert.is(readCheckpoint(note)!.unixS, 1_800_000_006);
  assert.equal(await checkpoints.publicKey(), second.verifying.bytes);
});

test("Checkpoints: a key that the signer set does not list signs nothing", async () => {
  const { checkpoints } = nodeWith(first);
  assert.is(await codeOf(checkpoints.noteOf(planeOf(second))), "invalid_configuration");
  const request = { origin: "x", size: 0, root: new Uint8Array(32), keys: [] };
  assert.is(await codeOf(checkpoints.sign(request)), "invalid_configuration");
});

test.run();
