/** A real registry in the same process whose governed plane is placed, and payloads for it. */
import * as assert from "uvu/assert";
import { signingKeyOfSeed } from "../../identity/pki/ed25519.ts";
import { NO_PREVIOUS } from "../../src/governance/documents/content_id.ts";
import { canonicalPayload, type ReadPayload } from "../../src/governance/documents/payload.ts";
import type { TestSigner } from "./governance.ts";
import type { RegistryHarness } from "./registry_harness.ts";

const CHECKPOINT_SEED = new Uint8Array(32).fill(1);
const NO_PIN = new Uint8Array(32);

/** Has the governed plane of a registry placed. */
export async function placeGoverned({ registry, world }: RegistryHarness): Promise<void> {
  const key = await signingKeyOfSeed(CHECKPOINT_SEED);
  registry.checkpoints.keys = {
    own: () => Promise.resolve([key]),
    ask: () => Promise.reject(new Error("not asked")),
  };
  const member = { nodeId: 1, addresses: [], pin: NO_PIN, nextPin: NO_PIN };
  await world.wait(registry.putMember(member));
  for (let waits = 0; registry.groups.plane?.group.isLeading !== true; waits++) {
    assert.ok(waits < 100, "The plane is placed within seconds");
    await world.pass(100);
  }
}

/** Returns signers as `GovernedClient.init` takes them. */
export function firstSigners(signers: readonly TestSigner[]) {
  return signers.map(({ id, key: { publicKey } }) => ({ id, publicKey }));
}

/** Returns the next version of a service, after `before`. */
export function servicePayload(n: number, before?: ReadPayload, id = "svc@eu"): ReadPayload {
  return canonicalPayload({
    schema: "descriptor/1",
    ...{ id, kind: "service", version: (before?.payload.version ?? 0) + 1 },
    prev_hash: before?.contentId ?? NO_PREVIOUS,
    body: { n },
  });
}
