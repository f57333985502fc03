/**
 * Signed checkpoints of the governed log. The key that signs them is in the authority folder; a node
 * without one asks a node that has it, which puts its own time into what it signs.
 */
import type { SignCheckpointRequest } from "../../../schemas/gen/wire.ts";
import { type SigningKey, signMessage } from "../../../identity/pki/ed25519.ts";
import { encodeBase64 } from "../../base/base64.ts";
import { bytesEqual } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import { CHECKPOINT_KEPT_MS } from "../../base/limits.ts";
import type { MonotonicClock, WallClock } from "../../base/world.ts";
import type { GovernedPlane } from "../../governance/governed_plane.ts";
import { checkpointText, originOf, signedNote } from "../../governance/tree/checkpoint.ts";

/** Where checkpoints are signed. */
export interface CheckpointKeys {
  /** Returns the key of this node; undefined if it has none. */
  readonly own: () => Promise<SigningKey | undefined>;
  /** Has a node with a key sign. @throws RegistryError if there is none. */
  readonly ask: (request: SignCheckpointRequest) => Promise<string>;
}

/** The keys of a node that can have no checkpoint signed. */
export const NO_CHECKPOINT_KEYS: CheckpointKeys = {
  own: () => Promise.resolve(undefined),
  ask: () => Promise.reject(noKey()),
};

/** Makes signed checkpoints. */
export class Checkpoints {
  /** Set once the node has its identity. */
  keys: CheckpointKeys = NO_CHECKPOINT_KEYS;
  readonly #clocks: { readonly wall: WallClock; readonly monotonic: MonotonicClock };
  /** The last note, and until when it is shown for the same log. */
  #kept: { readonly note: string; readonly root: Uint8Array; readonly untilMs: number } | undefined;

  constructor(clocks: { readonly wall: WallClock; readonly monotonic: MonotonicClock }) {
    this.#clocks = clocks;
  }

  /** Returns the public key of this node's checkpoints. @throws RegistryError `invalid_configuration`. */
  async publicKey(): Promise<Uint8Array> {
    const key = await this.keys.own();
    if (key === undefined) throw noKey();
    return key.verifying.bytes;
  }

  /**
   * Returns the note of the log as it is.
   *
   * @throws RegistryError `invalid_configuration` if no node has a key of the signer set; the failure to
   * reach one.
   */
  async noteOf({ genesis, log, signers }: GovernedPlane): Promise<string> {
    const size = log.version;
    const root = log.tree.root(size);
    const nowMs = this.#clocks.monotonic.nowMs();
    const kept = this.#kept;
    if (kept !== undefined && bytesEqual(kept.root, root) && nowMs < kept.untilMs) return kept.note;
    const request = { origin: originOf(genesis.hash), size, root };
    const own = await this.keys.own();
    const isListed = own !== undefined &&
      signers.current.checkpointKeys.includes(encodeBase64(own.verifying.bytes));
    const note = isListed ? await this.sign(request) : await this.keys.ask(request);
    this.#kept = { note, root, untilMs: nowMs + CHECKPOINT_KEPT_MS };
    return note;
  }

  /** Signs with this node's key. @throws RegistryError `invalid_configuration` if it has none. */
  async sign({ origin, size, root }: SignCheckpointRequest): Promise<string> {
    const key = await this.keys.own();
    if (key === undefined) throw noKey();
    const unixS = Math.floor(this.#clocks.wall.unixMs() / 1_000);
    const text = checkpointText({ origin, size, root, unixS });
    const signature = await signMessage(key, new TextEncoder().encode(text));
    return signedNote(text, { name: origin, publicKey: key.verifying.bytes, signature });
  }
}

function noKey(): RegistryError {
  return new RegistryError(
    "invalid_configuration",
    "A node must have the key of checkpoints: this one has none. Create it with " +
      "`crs identity rotate checkpoint-key`, in the authority folder of the nodes",
    { field: "authority" },
  );
}
