/**
 * The rules of the governed plane over its signers, its open proposals and its log.
 *
 * Each function checks everything before it changes anything.
 */
import type { GovernedEntryRecord, PayloadSignatureRecord } from "../../schemas/gen/governance.ts";
import { decodeBase64 } from "../base/base64.ts";
import { RegistryError } from "../base/errors.ts";
import { GOVERNED_LOG_BYTES_MAX, SIGNED_AT_LENGTH_MAX, SIGNERS_MAX } from "../base/limits.ts";
import { type SignatureVerdict, verifyAgreed } from "../signing/ed25519_verdict.ts";
import { NO_PREVIOUS, signingMessage } from "./documents/content_id.ts";
import type { GovernanceGenesis } from "./documents/genesis.ts";
import { readBroughtEntry } from "./documents/entry.ts";
import { invalidDocument } from "./documents/json_members.ts";
import {
  FREEZE_ID,
  HOME_ID,
  isOwnAction,
  publishedBody,
  type ReadPayload,
  readPayload,
  SIGNERS_ID,
} from "./documents/payload.ts";
import { regionIdOf } from "./documents/region_map.ts";
import { type AppliedEntry, GovernedLog } from "./governed_log.ts";
import { type OpenProposal, OpenProposals, type ProposalApproval } from "./open_proposals.ts";
import { quorumFault } from "./entry_quorum.ts";
import { missingApprovals } from "./quorum.ts";
import { isSignerId, readSignerSet, SignerHistory, type SignerSet } from "./signer_set.ts";

/** The result of a command that was not refused. */
export interface ProposalOutcome {
  /** Number of the proposal. */
  readonly proposal?: number;
  /** Global version of its entry, once it is applied. */
  readonly version?: number;
  /** Signatures that are still missing. */
  readonly missing?: number;
}

/** The result of a command, and the proposals that it closed. */
export interface ProposalEffect {
  readonly outcome: ProposalOutcome;
  readonly closed: readonly OpenProposal[];
}

/** The governed plane. */
export class GovernedPlane {
  readonly genesis: GovernanceGenesis;
  readonly signers: SignerHistory;
  readonly log: GovernedLog;
  readonly proposals: OpenProposals = new OpenProposals();
  /** The sets of payloads that were read: checking a key takes as long as verifying a signature. */
  readonly #proposedSets = new WeakMap<ReadPayload, SignerSet>();

  readonly #isSigned: SignatureVerdict;
  /** The region that a mirror began with; empty if the plane began here. */
  began = "";
  /** The cluster's own region; empty: not known yet. */
  region = "";

  /** @param isSigned gives the verdict of {@link verifyAgreed}, faster where a runtime can. */
  constructor(genesis: GovernanceGenesis, isSigned: SignatureVerdict = verifyAgreed) {
    this.genesis = genesis;
    this.#isSigned = isSigned;
    this.signers = new SignerHistory(genesis.signers);
    this.log = new GovernedLog(genesis.hash);
  }

  /** Whether only signers and freeze may change. */
  get isFrozen(): boolean {
    return this.log.headOf(FREEZE_ID)?.read.payload.body["frozen"] === true;
  }

  /**
   * The region in which proposals are made: the one that the newest entry of `@home` names, or else the one
   * that this mirror began with; empty if the plane began here.
   */
  get home(): string {
    const named = this.log.headOf(HOME_ID)?.read.payload.body["region"] as string | undefined;
    return named ?? this.began;
  }

  /** Whether proposals are made here. */
  get isHome(): boolean {
    return this.home === "" || this.home === this.region;
  }

  /**
   * Opens a proposal, or adds signatures to the one that has this payload.
   *
   * @throws RegistryError `stale_version`, `bad_signature`, `invalid_argument`, `overloaded`.
   */
  propose(
    read: ReadPayload,
    signatures: readonly PayloadSignatureRecord[],
    caller: string,
    { timeMs, unixS }: { readonly timeMs: number; readonly unixS: number },
  ): ProposalEffect {
    const applied = this.log.withContent(read.contentId);
    if (applied !== undefined) return { outcome: outcomeOf(applied), closed: [] };
    const open = this.proposals.withContent(read.contentId);
    if (open !== undefined) {
      return { outcome: this.addSignatures(open.number, signatures), closed: [] };
    }
    this.#checkHere(read);
    this.#checkNext(read);
    const proposed = this.#proposedSet(read);
    const approvals = this.#verified(read, proposed, signatures);
    const closed = this.proposals.evicted(caller, read, approvals.length > 0);
    for (const { number } of closed) this.proposals.close(number);
    const facts = { read, caller, createdMs: timeMs, createdUnixS: unixS, approvals: [] };
    const { number } = this.proposals.open(facts);
    return { outcome: this.#stateOf(this.proposals.approve(number, approvals)), closed };
  }

  /**
   * Adds signatures.
   *
   * @throws RegistryError `not_found`, `bad_signature`, `invalid_argument`, `overloaded`.
   */
  addSignatures(
    number: number,
    signatures: readonly PayloadSignatureRecord[],
  ): ProposalOutcome {
    const applied = this.log.ofProposal(number);
    if (applied !== undefined) return outcomeOf(applied);
    const { read } = this.#open(number);
    this.#checkHere(read);
    const approvals = this.#verified(read, this.#proposedSet(read), signatures);
    return this.#stateOf(this.proposals.approve(number, approvals));
  }

  /**
   * Applies a proposal; one that was applied is answered again. Other proposals for its version are
   * closed.
   *
   * @throws RegistryError `not_found`, `frozen`, `stale_version`, `no_quorum`, `overloaded`.
   */
  applyProposal(
    number: number,
    { unixS, applyVersion }: { readonly unixS: number; readonly applyVersion: number },
  ): ProposalEffect {
    const applied = this.log.ofProposal(number);
    if (applied !== undefined) return { outcome: outcomeOf(applied), closed: [] };
    const open = this.#open(number);
    const { read } = open;
    this.#checkHere(read);
    this.#checkOpen(read);
    this.#checkNext(read);
    const proposed = this.#proposedSet(read);
    const missing = this.#missing(open, proposed);
    if (missing > 0) {
      const message = `Proposal ${number} must have the signatures of a quorum: ${missing} missing`;
      throw new RegistryError("no_quorum", message);
    }
    this.#checkRoom();
    const entry = this.log.append(read, {
      proposal: number,
      committedAt: unixS,
      signers: this.signers.current.number,
      approvals: open.approvals.map(({ signerId, signature, signedAt, set }) => ({
        signerId,
        signature,
        signedAt,
        set,
      })),
    }, applyVersion);
    if (proposed !== undefined) this.signers.append(proposed);
    this.proposals.close(number);
    const { id, version } = read.payload;
    return { outcome: outcomeOf(entry), closed: this.proposals.outdate(id, version) };
  }

  /** Returns how many signatures an open proposal lacks. */
  missingOf(open: OpenProposal): number {
    return this.#missing(open, this.#proposedSet(open.read));
  }

  /**
   * Takes an entry of an image, or as a node sends it. It owns the record's bytes from now on.
   *
   * @throws RegistryError `corrupt`, `invalid_argument`.
   */
  load(record: GovernedEntryRecord): AppliedEntry {
    const loaded = this.log.load(record);
    const { signers } = record.leafHash.length === 0 ? loaded.entry : record;
    if (signers !== this.signers.current.number) {
      throw new RegistryError("corrupt", `Entry ${this.log.version} names another signer set`);
    }
    // The payloads of descriptors are read when somebody asks for them.
    if (this.log.headOf(SIGNERS_ID) !== loaded) return loaded;
    const proposed = this.#proposedSet(loaded.read);
    if (proposed !== undefined) this.signers.append(proposed);
    return loaded;
  }

  /**
   * Takes the next entry of the home's log, as a client would: its place, its heads, its payload and a
   * quorum of the signers in force are verified. Proposals that it outdates are closed.
   *
   * @throws RegistryError `stale_version`, `no_quorum`, `frozen`, `invalid_argument`, `overloaded`,
   * `foreign_region`; nothing is changed then.
   */
  mirror(
    { leaf, payload }: { readonly leaf: Uint8Array; readonly payload: Uint8Array },
    applyVersion: number,
  ): readonly OpenProposal[] {
    const entry = readBroughtEntry(leaf, applyVersion);
    const read = readPayload(payload, applyVersion);
    // Signatures decide which region is the home, also when this one was it.
    if (this.isHome && (read.action !== "home" || namedRegion(read) === this.region)) {
      throw new RegistryError("stale_version", "This region is the home of the plane itself");
    }
    this.#checkOpen(read);
    this.#checkNext(read);
    this.#checkRoom();
    const proposed = this.#proposedSet(read);
    const { number } = this.signers.current;
    const isSigned = this.#isSigned;
    const fault = entry.signers === number
      ? quorumFault({ entry, read, history: this.signers, proposed, isSigned })
      : `Signer set ${number} must decide entry ${entry.version}: it names ${entry.signers}`;
    if (fault !== undefined) throw new RegistryError("no_quorum", fault);
    this.log.appendMirrored(entry, leaf, read);
    if (proposed !== undefined) this.signers.append(proposed);
    const closed = this.proposals.outdate(read.payload.id, read.payload.version);
    const taken = this.proposals.of(entry.proposal);
    if (taken !== undefined) this.proposals.close(taken.number);
    this.proposals.loadNext(Math.max(this.proposals.next, entry.proposal + 1));
    return taken === undefined ? closed : [...closed, taken];
  }

  /** Checks that a payload may be proposed here: at the home all, in a mirror the move to itself. */
  #checkHere(read: ReadPayload): void {
    if (this.isHome || read.action === "home" && namedRegion(read) === this.region) return;
    throw new RegistryError(
      "foreign_region",
      `Proposals are made in region ${this.home}, the home of the governed plane: go there. If it is ` +
        "lost, a quorum moves the home here: crs governance home",
      { homeRegion: this.home },
    );
  }

  #checkOpen({ action }: ReadPayload): void {
    if (!this.isFrozen || isOwnAction(action)) return;
    throw new RegistryError("frozen", "The registry is frozen: nothing may be applied");
  }

  #checkRoom(): void {
    if (this.log.byteCount <= GOVERNED_LOG_BYTES_MAX) return;
    const message = `The log may have at most ${GOVERNED_LOG_BYTES_MAX} bytes`;
    throw new RegistryError("overloaded", message, { retryAfterMs: 3_600_000 });
  }

  #open(number: number): OpenProposal {
    const open = this.proposals.of(number);
    if (open !== undefined) return open;
    const message = number > 0 && number < this.proposals.next
      ? `Proposal ${number} is closed: it expired, or its version was taken`
      : `There is no proposal ${number}`;
    throw new RegistryError("not_found", message);
  }

  /** Checks that a payload is the next version of its descriptor. */
  #checkNext({ payload, action }: ReadPayload): void {
    const { id, kind, version, prev_hash } = payload;
    const head = this.log.headOf(id);
    const next = (head?.entry.idVersion ?? 0) + 1;
    const previous = head?.entry.contentId ?? NO_PREVIOUS;
    if (version !== next || prev_hash !== previous) {
      throw new RegistryError(
        "stale_version",
        `The next version of ${id} must be ${next} after ${previous}: found ${version} after ` +
          prev_hash,
      );
    }
    if (head !== undefined && head.entry.kind !== kind) {
      throw invalidDocument(`${id} must keep its kind ${head.entry.kind}: found ${kind}`, "kind");
    }
    if (action === "deprecation" && head?.read.action === "deprecation") {
      throw invalidDocument(`${id} is deprecated already`, "schema");
    }
    // Otherwise one signer could freeze again and again: each time takes the version of the proposal by
    // which a quorum would end the freeze, and lengthens the log.
    if (action === "freeze" && payload.body["frozen"] === this.isFrozen) {
      const message = `The registry is ${this.isFrozen ? "frozen already" : "not frozen"}`;
      throw invalidDocument(message, "frozen");
    }
    if (kind === "region_map") this.#checkRegion({ payload, action });
  }

  #checkRegion(read: Pick<ReadPayload, "payload" | "action">): void {
    const body = publishedBody(read);
    if (body === undefined) return;
    const region = regionIdOf(body);
    const other = this.log.describing(region);
    if (other === undefined || other === read.payload.id) return;
    throw invalidDocument(`Region ${region} is described by ${other} already`, "region_id");
  }

  /** Returns the signer set that a payload would make the current one, checked. */
  #proposedSet(read: ReadPayload): SignerSet | undefined {
    if (read.action !== "signers") return undefined;
    let set = this.#proposedSets.get(read);
    if (set === undefined) {
      set = readSignerSet(read.payload.body, read.payload.version);
      this.#proposedSets.set(read, set);
    }
    this.signers.check(set);
    return set;
  }

  /** Verifies signatures of a payload, all or none. */
  #verified(
    { contentId }: ReadPayload,
    proposed: SignerSet | undefined,
    signatures: readonly PayloadSignatureRecord[],
  ): ProposalApproval[] {
    if (signatures.length > SIGNERS_MAX) {
      throw invalidDocument(`There may be ${SIGNERS_MAX} signatures at once`, "signatures");
    }
    const message = signingMessage(contentId);
    return signatures.map(({ signerId, signature, signedAt }) => {
      if (!isSignerId(signerId) || !/^[\x20-\x7e]+$/.test(signedAt)) {
        throw invalidDocument("A signature must have a signer and a time", "signatures");
      }
      if (signedAt.length > SIGNED_AT_LENGTH_MAX) {
        throw invalidDocument(`ts may have ${SIGNED_AT_LENGTH_MAX} characters`, "ts");
      }
      for (const set of [this.signers.current, ...(proposed === undefined ? [] : [proposed])]) {
        const key = set.signers.get(signerId);
        if (key === undefined || set.revoked.has(key)) continue;
        if (!this.#isSigned(decodeBase64(key)!, message, signature)) continue;
        return { signerId, signature, signedAt, key, set: set.number };
      }
      throw new RegistryError(
        "bad_signature",
        `The signature of ${signerId} must be of ${contentId} by a key of the signer set: it is not`,
      );
    });
  }

  #missing({ read, approvals }: OpenProposal, proposed: SignerSet | undefined): number {
    return missingApprovals(approvals, {
      current: this.signers.current,
      proposed,
      freezes: read.action === "freeze" && read.payload.body["frozen"] === true,
    });
  }

  #stateOf(open: OpenProposal): ProposalOutcome {
    return { proposal: open.number, missing: this.missingOf(open) };
  }
}

/** Returns the region that a payload of `@home` names. */
function namedRegion({ payload }: ReadPayload): string {
  return payload.body["region"] as string;
}

function outcomeOf({ entry }: AppliedEntry): ProposalOutcome {
  return { proposal: entry.proposal, version: entry.version };
}
