/** Descriptors for the benches of the governed plane, with signatures of known keys. */
import type { Client, DelegatedClient } from "../src/client/mod.ts";
import { canonicalPayload, type ReadPayload } from "../src/governance/documents/payload.ts";
import { NO_PREVIOUS, signingMessage } from "../src/governance/documents/content_id.ts";
import { signingKeyOfSeed, signMessage } from "../identity/pki/ed25519.ts";

/** Signers that must agree. */
export const SIGNERS = 2;
/** Proposals in flight while descriptors are published. */
const DEPTH = 64;
/** Descriptors of one caller: its quota a minute has room for more. */
const DESCRIPTORS_PER_CALLER = 1_000;
const CAPABILITY_LIFE_MS = 3_600_000;

/** Returns the id of a descriptor by its number. */
export function idOf(number: number): string {
  return `svc-${number}@eu-1`;
}

function payloadOf(number: number): ReadPayload {
  return canonicalPayload({
    schema: "descriptor/1",
    ...{ id: idOf(number), kind: "service", version: 1, prev_hash: NO_PREVIOUS },
    body: {
      endpoint: `https://host-${number}.example:8443`,
      capabilities: ["read", "write", "list"],
      labels: { tier: "gold", team: `team-${number % 100}`, zone: `zone-${number % 7}` },
    },
  });
}

/** The signers, each with a key of known seed. */
const KEYS = await Promise.all([..."abc"].map(async (id) => ({
  id,
  key: await signingKeyOfSeed(new Uint8Array(32).fill(id.charCodeAt(0))),
})));

/** Returns a descriptor with the signatures of a quorum. */
export async function descriptorOf(number: number) {
  const { bytes, contentId } = payloadOf(number);
  const signatures = await Promise.all(
    KEYS.slice(0, SIGNERS).map(async ({ id, key }) => ({
      signerId: id,
      signature: await signMessage(key, signingMessage(contentId)),
      signedAt: "2026-01-01T00:00:00Z",
    })),
  );
  return { payload: bytes, signatures };
}

/** Begins the governed plane. */
export async function govern(client: Client): Promise<void> {
  const signers = KEYS.map(({ id, key }) => ({ id, publicKey: key.verifying.bytes }));
  for (let tries = 0;; tries++) {
    try {
      return void await client.governed.init(signers, SIGNERS);
    } catch (error) {
      // The plane is placed within a second of the first start.
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Publishes descriptors from number 0 on. */
export async function publish(client: Client, count: number): Promise<void> {
  // A caller has a quota a minute, and each capability is a caller.
  const callers: DelegatedClient[] = [];
  for (let at = 0; at * DESCRIPTORS_PER_CALLER < count; at++) callers.push(await callerOf(client));
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const number = next++;
      const { governed } = callers[Math.floor(number / DESCRIPTORS_PER_CALLER)]!;
      const { payload, signatures } = await descriptorOf(number);
      const { proposal } = await governed.propose(payload, signatures);
      await governed.apply(proposal);
    }
  };
  await Promise.all(Array.from({ length: DEPTH }, worker));
  for (const caller of callers) caller.close();
}

async function callerOf(client: Client): Promise<DelegatedClient> {
  const any = ["registry:propose", "registry:apply"] as const;
  const order = { caveats: [{ kind: "scope", any }], lifeMs: CAPABILITY_LIFE_MS } as const;
  const capability = await client.identities.mintCapability(order);
  const opened = client.delegateCapability(capability)
    .open({ method: "POST", path: "/", address: "127.0.0.1" });
  if ("fault" in opened) throw new Error(opened.fault);
  return opened.value;
}
