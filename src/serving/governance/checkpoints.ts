/**
 * Signed checkpoints of the governed log. The keys that sign them are in the authority folder; a node
 * without one asks a node that has it, which puts its own time into what it signs. A key signs while the
 * signer set lists it, so that a new one is listed first and an old one may be deleted after.
 */
import type { SignCheckpointReply, SignCheckpointRequest } from "../../../schemas/gen/wire.ts";
import { type SigningKey, signMessage } from "../../../identity/pki/ed25519.ts";
import { decodeBase64 } from "../../base/base64.ts";
import { bytesEqual } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import { CHECKPOINT_KEPT_MS } from "../../base/limits.ts";
import type { MonotonicClock, WallClock } from "../../base/world.ts";
import type { GovernedPlane } from "../../governance/governed_plane.ts";
import { checkpointText, originOf, signedNote } from "../../governance/tree/checkpoint.ts";

/** Where checkpoints are signed. */
export interface CheckpointKeys {
  /** Returns the keys of this node, the newest last. */
  readonly own: () => Promise<readonly SigningKey[]>;
  /** Has a node with keys sign. @throws RegistryError if there is none. */
  readonly ask: (request: SignCheckpointRequest) => Promise<SignCheckpointReply>;
}

/** The keys of a node that can have no checkpoint signed. */
export const NO_CHECKPOINT_KEYS: CheckpointKeys = {
  own: () => Promise.resolve([]),
  ask: () => Promise.reject(noKey()),
};

/** A request for the newest public key alone. */
const KEY_ALONE: SignCheckpointRequest = {
  ...{ origin: "", size: 0, root: new Uint8Array(0), keys: [] },
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

  /** Returns the newest public key of this node alone; empty if it has none. */
  async ownKey(): Promise<Uint8Array> {
    return (await this.keys.own()).at(-1)?.verifying.bytes ?? new Uint8Array(0);
  }

  /**
   * Returns the newest public key that signs checkpoints, of this node or of another.
   *
   * @throws RegistryError `invalid_configuration` if no node has one; the failure to reach it.
   */
  async publicKey(): Promise<Uint8Array> {
    const newest = (await this.keys.own()).at(-1);
    return newest?.verifying.bytes ?? (await this.keys.ask(KEY_ALONE)).publicKey.slice();
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
    const keys = signers.current.checkpointKeys.map((key) => decodeBase64(key)!);
    const request = { origin: originOf(genesis.hash), size, root, keys };
    const hasKey = await this.#listed(keys) !== undefined;
    const { note } = hasKey ? await this.sign(request) : await this.keys.ask(request);
    this.#kept = { note, root, untilMs: nowMs + CHECKPOINT_KEPT_MS };
    return note;
  }

  /**
   * Signs with a key of this node, or tells only its public key if the request has no origin.
   *
   * @throws RegistryError `invalid_configuration` if it has none, or none that may sign.
   */
  async sign({ origin, size, root, keys }: SignCheckpointRequest): Promise<SignCheckpointReply> {
    if (origin === "") {
      const newest = (await this.keys.own()).at(-1);
      if (newest === undefined) throw noKey();
      return { publicKey: newest.verifying.bytes, note: "" };
    }
    const key = await this.#listed(keys);
    if (key === undefined) throw noKey();
    const unixS = Math.floor(this.#clocks.wall.unixMs() / 1_000);
    const text = checkpointText({ origin, size, root, unixS });
    const signature = await signMessage(key, new TextEncoder().encode(text));
    const publicKey = key.verifying.bytes;
    return { publicKey, note: signedNote(text, { name: origin, publicKey, signature }) };
  }

  /** Returns the newest key of this node that is one of `keys`. */
  async #listed(keys: readonly Uint8Array[]): Promise<SigningKey | undefined> {
    return (await this.keys.own()).findLast(({ verifying }) =>
      keys.some((key) => bytesEqual(key, verifying.bytes))
    );
  }
}

function noKey(): RegistryError {
  return new RegistryError(
    "invalid_configuration",
    "No node that can be asked has a key of checkpoints that the signer set lists. " +
      "`crs identity rotate checkpoint-key` creates one in the authority folder; list its public key in " +
      "@signers",
    { field: "authority" },
  );
}
