/**
 * A verifier of bundles that keeps the last checkpoint and refuses every bundle that contradicts it. It
 * refuses the attacks that the TUF specification names (§1.5.2).
 *
 * The owner keeps {@link GovernedVerifier.saved} between two starts. Without it, the first bundle is
 * accepted if it verifies against the genesis and is at most `checkpointAgeMsMax` old.
 */
import {
  CHECKPOINT_AGE_MS_DEFAULT,
  CHECKPOINT_AHEAD_MS_MAX,
  VERIFIED_IDS_MAX,
} from "../../base/limits.ts";
import { bytesEqual } from "../../base/bytes.ts";
import { extendsTree } from "../../governance/tree/merkle_proof.ts";
import {
  type BundleDefect,
  type VerifiedBundle,
  type VerifiedDescriptor,
  verifyBundle,
} from "../../governance/verification/verify_bundle.ts";

/** The reason why a bundle is refused. */
export type GovernedFault =
  | BundleDefect
  /** It is older than a bundle that was accepted before. */
  | "rollback"
  /** Its checkpoint is too old, or signed in the future. */
  | "freeze"
  /** Its log is longer, without a proof that it extends the log that was accepted before. */
  | "fast_forward"
  /** Its log contradicts the log that was accepted before. */
  | "fork";

/** The verdict on a bundle. */
export type GovernedVerdict =
  | {
    readonly ok: true;
    /** The newest version of the descriptor; undefined: it is proven that there is none. */
    readonly descriptor: VerifiedDescriptor | undefined;
    /** Age of the checkpoint, ms. */
    readonly ageMs: number;
  }
  | { readonly ok: false; readonly fault: GovernedFault; readonly message: string };

/** The memory of a verifier, which its owner keeps between two starts. */
export interface VerifiedHistory {
  /** Size, root and time (s since 1970) of the last checkpoint. */
  readonly size: number;
  readonly root: Uint8Array;
  readonly unixS: number;
  /** Number of the signer set that was in force. */
  readonly signerSet: number;
  /** Global versions of the descriptors that were read. */
  readonly versions: Readonly<Record<string, number>>;
}

/** Options of a {@link GovernedVerifier}. */
export interface GovernedVerifierOptions {
  /** The pinned hash of the genesis, `sha256:…`. */
  readonly genesis: string;
  /** Age from which on a checkpoint is refused, ms; by default ten minutes. */
  readonly checkpointAgeMsMax?: number;
  /** The memory of an earlier verifier of this genesis. */
  readonly saved?: VerifiedHistory;
}

/** Verifies descriptors offline, one bundle after another. */
export class GovernedVerifier {
  readonly #genesis: string;
  readonly #ageMsMax: number;
  readonly #versions: Map<string, number>;
  #last: Omit<VerifiedHistory, "versions"> | undefined;

  constructor({ genesis, checkpointAgeMsMax, saved }: GovernedVerifierOptions) {
    this.#genesis = genesis;
    this.#ageMsMax = checkpointAgeMsMax ?? CHECKPOINT_AGE_MS_DEFAULT;
    this.#versions = new Map(Object.entries(saved?.versions ?? {}));
    this.#last = saved;
  }

  /** Size of the last checkpoint, from which the next bundle must prove its consistency; 0: none. */
  get size(): number {
    return this.#last?.size ?? 0;
  }

  /** The memory to keep for the next start; undefined before the first bundle. */
  get saved(): VerifiedHistory | undefined {
    if (this.#last === undefined) return undefined;
    const { size, root, unixS, signerSet } = this.#last;
    return { size, root, unixS, signerSet, versions: Object.fromEntries(this.#versions) };
  }

  /**
   * Verifies a bundle. A bundle that is refused changes nothing.
   *
   * @param text the bundle as it was received.
   * @param nowMs wall time once it had been received, ms since 1970.
   */
  verify(
    text: string,
    { id, nowMs }: { readonly id: string; readonly nowMs: number },
  ): GovernedVerdict {
    const verdict = verifyBundle(text, { genesis: this.#genesis, id });
    if (!verdict.ok) return verdict;
    const { verified } = verdict;
    const fault = this.#timeFault(verified, nowMs) ?? this.#historyFault(verified, id);
    if (fault !== undefined) return { ok: false, ...fault };
    this.#remember(verified, id);
    const { checkpoint, descriptor } = verified;
    return { ok: true, descriptor, ageMs: Math.max(0, nowMs - checkpoint.unixS * 1_000) };
  }

  #timeFault({ checkpoint }: VerifiedBundle, nowMs: number): Refusal | undefined {
    const ageMs = nowMs - checkpoint.unixS * 1_000;
    if (ageMs > this.#ageMsMax) {
      const message = `Checkpoint must be at most ${this.#ageMsMax} ms old: it is ${ageMs} ms old`;
      return { fault: "freeze", message };
    }
    if (ageMs >= -CHECKPOINT_AHEAD_MS_MAX) return undefined;
    return { fault: "freeze", message: `Checkpoint must not be of the future: by ${-ageMs} ms` };
  }

  #historyFault(verified: VerifiedBundle, id: string): Refusal | undefined {
    const last = this.#last;
    if (last === undefined) return undefined;
    const { checkpoint, consistency, signerSet, descriptor } = verified;
    const found = checkpoint.size;
    if (found < last.size || signerSet < last.signerSet) {
      const message = found < last.size
        ? `Log must have at least ${last.size} entries: it has ${found}`
        : `Signer set must be at least ${last.signerSet}: it is ${signerSet}`;
      return { fault: "rollback", message };
    }
    if (found === last.size) {
      if (!bytesEqual(checkpoint.root, last.root)) {
        return { fault: "fork", message: `Log of ${found} entries must be the one seen before` };
      }
    } else if (last.size > 0) {
      if (consistency?.from !== last.size) {
        const message = `Log of ${found} entries must be proven to extend that of ${last.size}`;
        return { fault: "fast_forward", message };
      }
      if (!extendsTree(checkpoint, last, consistency.proof)) {
        const message = `Log of ${found} entries must extend that of ${last.size}: it does not`;
        return { fault: "fork", message };
      }
    }
    const seen = this.#versions.get(id) ?? 0;
    if ((descriptor?.entryVersion ?? 0) >= seen) return undefined;
    return { fault: "rollback", message: `${id} must be at least that of entry ${seen}` };
  }

  #remember({ checkpoint, signerSet, descriptor }: VerifiedBundle, id: string): void {
    const { size, root, unixS } = checkpoint;
    this.#last = { size, root, unixS: Math.max(unixS, this.#last?.unixS ?? 0), signerSet };
    if (descriptor === undefined) return;
    this.#versions.delete(id);
    this.#versions.set(id, descriptor.entryVersion);
    for (const oldest of this.#versions.keys()) {
      if (this.#versions.size <= VERIFIED_IDS_MAX) break;
      this.#versions.delete(oldest);
    }
  }
}

interface Refusal {
  readonly fault: GovernedFault;
  readonly message: string;
}
