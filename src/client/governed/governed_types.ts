/** The interface of the governed plane in the SDK. */
import type {
  GovernanceAuditReply,
  GovernanceStatusReply,
  GovernedLogReply,
  ProposalReply,
  ProposalState,
} from "../../../schemas/gen/wire.ts";
import type { RegistryError } from "../../base/errors.ts";
import type { JsonObject } from "../../governance/documents/json_members.ts";
import type { PayloadSignature } from "../../governance/documents/signature.ts";
import type { AppliedEntry, GovernedLog } from "../../governance/governed_log.ts";
import type { GovernedPlane } from "../../governance/governed_plane.ts";
import type { CallOptions } from "../call_options.ts";

/** A signer of the first set. */
export interface FirstSigner {
  readonly id: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** Entries of the governed log, and how many there are. */
export type GovernedLogPage = GovernedLogReply;

/** Calls of the governed plane. All reject with RegistryError. */
export interface GovernedClient {
  /** Returns the version, the signers and the threshold; the genesis is "" if there is none. */
  status(options?: CallOptions): Promise<GovernanceStatusReply>;

  /**
   * Begins the governed plane. Controllers only.
   *
   * @returns the genesis in canonical form, whose SHA-256 is to be pinned.
   * @throws RegistryError `stale_version` if it has begun with other signers.
   */
  init(
    signers: readonly FirstSigner[],
    threshold: number,
    options?: CallOptions,
  ): Promise<Uint8Array>;

  /**
   * Proposes a payload; the same payload again adds its signatures to the same proposal.
   *
   * @param payload in canonical form ({@link canonicalPayload}).
   * @throws RegistryError `stale_version`, `bad_signature`, `too_large`.
   */
  propose(
    payload: Uint8Array,
    signatures: readonly PayloadSignature[],
    options?: CallOptions,
  ): Promise<ProposalState>;

  /** Adds signatures to a proposal. @throws RegistryError `not_found`, `bad_signature`. */
  sign(
    proposal: number,
    signatures: readonly PayloadSignature[],
    options?: CallOptions,
  ): Promise<ProposalState>;

  /**
   * Applies a proposal; one that was applied is answered again.
   *
   * @throws RegistryError `no_quorum`, `stale_version`, `frozen`, `not_found`.
   */
  apply(proposal: number, options?: CallOptions): Promise<ProposalState>;

  /** Returns an open or an applied proposal. @throws RegistryError `not_found`. */
  proposal(proposal: number, options?: CallOptions): Promise<ProposalReply>;

  /** Returns entries after a version; if there are none, waits up to `waitMs` for one. */
  log(
    request: {
      readonly after: number;
      readonly waitMs?: number;
      readonly knowsGenesis?: boolean;
      /** Only entries of this descriptor. */
      readonly id?: string;
    },
    options?: CallOptions,
  ): Promise<GovernedLogPage>;

  /**
   * Returns all versions of one descriptor, for callers that may not read others.
   *
   * @param wait waits up to `ms` for a version after the global version `after`.
   * @throws RegistryError those of a read.
   */
  history(
    id: string,
    wait?: { readonly after: number; readonly ms: number },
    options?: CallOptions,
  ): Promise<DescriptorHistory>;

  /** Returns the bundle of a descriptor, to be verified offline ({@link GovernedVerifier}). */
  bundle(id: string, since?: number, options?: CallOptions): Promise<string>;

  /** Returns a signed checkpoint. @throws RegistryError `not_found` without a genesis. */
  checkpoint(options?: CallOptions): Promise<string>;

  /** Returns records of the audit after one of them. Controllers only. */
  audit(after: number, limit: number, options?: CallOptions): Promise<GovernanceAuditReply>;

  /**
   * Returns a copy of the whole log in this process, which follows the registry until it is closed.
   *
   * @throws RegistryError if the first entries cannot be read.
   */
  view(options?: CallOptions): Promise<GovernedView>;
}

/** The versions of one descriptor, as they were read. */
export interface DescriptorHistory {
  /** Has entries of this descriptor only, so that its own version and proofs mean nothing. */
  readonly log: GovernedLog;

  /** Returns the age of what was read, ms. */
  ageMs(): number;
}

/** A copy of the governed log in this process, which follows the registry until it is closed. */
export interface GovernedView {
  /** The signers and the log; undefined while the registry is ungoverned. */
  readonly plane: GovernedPlane | undefined;
  /** The global version that this view has. */
  readonly version: number;
  /** Why the view does not follow now; undefined if it does. */
  readonly fault: RegistryError | undefined;

  /** Returns the age of the view, ms: everything that was applied earlier is in it. */
  ageMs(): number;

  /** Calls `listener` for each further entry, in order. @returns a function that ends this. */
  follow(listener: (entry: AppliedEntry) => void): () => void;

  /**
   * Makes the view current: everything that was applied before the call is in it then.
   *
   * @throws RegistryError if the registry cannot be asked.
   */
  refresh(options?: CallOptions): Promise<void>;

  /**
   * Returns a signed checkpoint of the log as it is here.
   *
   * @throws RegistryError `not_found` without a genesis; `overloaded` if the log grows too fast.
   */
  note(options?: CallOptions): Promise<string>;

  /** Returns the bundle of a descriptor. @throws RegistryError as {@link note}. */
  bundle(id: string, since?: number, options?: CallOptions): Promise<JsonObject>;

  /** Ends it; what it has stays readable. */
  close(): void;
}
