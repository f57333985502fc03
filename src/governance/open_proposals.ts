/**
 * The open proposals: payloads that gather signatures until they are applied, expire, or become outdated
 * because another payload became that version.
 */
import type { OpenProposalRecord } from "../../schemas/gen/governance.ts";
import type { Input } from "../../schemas/runtime.ts";
import { RegistryError } from "../base/errors.ts";
import {
  APPROVALS_MAX,
  PROPOSAL_LIFE_MS,
  PROPOSALS_BYTES_MAX,
  PROPOSALS_OPEN_MAX,
  PROPOSALS_PER_CALLER_MAX,
  PROPOSALS_PER_ID_MAX,
} from "../base/limits.ts";
import type { EntryApproval } from "./documents/entry.ts";
import { type ReadPayload, readPayload } from "./documents/payload.ts";
import type { CountedApproval } from "./quorum.ts";

/** A signature that was verified, with the key that verified it. */
export type ProposalApproval = EntryApproval & CountedApproval;

/** An open proposal. */
export interface OpenProposal {
  readonly number: number;
  readonly read: ReadPayload;
  readonly caller: string;
  /** Group time, ms, and wall time, s, at which it was made. */
  readonly createdMs: number;
  readonly createdUnixS: number;
  /** In the order in which they came, each key once. */
  readonly approvals: readonly ProposalApproval[];
}

/** The open proposals, in the order of their numbers and so of their expiry. */
export class OpenProposals {
  readonly #open = new Map<number, OpenProposal>();
  readonly #byContent = new Map<string, number>();
  #byteCount = 0;
  #next = 1;

  /** The number of the next proposal. */
  get next(): number {
    return this.#next;
  }

  get all(): Iterable<OpenProposal> {
    return this.#open.values();
  }

  get count(): number {
    return this.#open.size;
  }

  of(number: number): OpenProposal | undefined {
    return this.#open.get(number);
  }

  /** Returns the open proposal of a payload. */
  withContent(contentId: string): OpenProposal | undefined {
    return this.#open.get(this.#byContent.get(contentId) ?? 0);
  }

  /**
   * Returns the proposals that must be closed to make room for one more.
   *
   * Proposals without a signature give way to one that has a signature. Otherwise whoever may propose
   * could fill all places of a descriptor, and so keep the signers from changing it or from a freeze.
   *
   * @throws RegistryError `overloaded` if there is no room.
   */
  evicted(caller: string, { payload, bytes }: ReadPayload, isSigned: boolean): OpenProposal[] {
    let ofCaller = 0;
    let ofId = 0;
    for (const open of this.#open.values()) {
      if (open.caller === caller) ofCaller++;
      if (open.read.payload.id === payload.id) ofId++;
    }
    if (ofCaller >= PROPOSALS_PER_CALLER_MAX) {
      throw noRoom(PROPOSALS_PER_CALLER_MAX, "open proposals of one caller");
    }
    const evicted: OpenProposal[] = [];
    let count = this.#open.size;
    let byteCount = this.#byteCount + bytes.length;
    const isFull = () => count >= PROPOSALS_OPEN_MAX || byteCount > PROPOSALS_BYTES_MAX;
    for (const open of this.#open.values()) {
      if (ofId < PROPOSALS_PER_ID_MAX && !isFull()) break;
      const isOfId = open.read.payload.id === payload.id;
      const isNeeded = ofId >= PROPOSALS_PER_ID_MAX ? isOfId : isFull();
      if (!isSigned || !isNeeded || open.approvals.length > 0) continue;
      evicted.push(open);
      count--;
      byteCount -= open.read.bytes.length;
      if (isOfId) ofId--;
    }
    if (ofId >= PROPOSALS_PER_ID_MAX) {
      throw noRoom(PROPOSALS_PER_ID_MAX, "open proposals for one descriptor");
    }
    if (isFull()) throw noRoom(PROPOSALS_OPEN_MAX, "open proposals");
    return evicted;
  }

  /** Opens a proposal. @returns it, with its number. */
  open(proposal: Omit<OpenProposal, "number">): OpenProposal {
    return this.#put({ ...proposal, number: this.#next++ });
  }

  /**
   * Adds approvals whose keys the proposal does not have.
   *
   * @throws RegistryError `overloaded` if it has too many then, as after several changes of the signers.
   */
  approve(number: number, approvals: readonly ProposalApproval[]): OpenProposal {
    const open = this.#open.get(number)!;
    const keys = new Set(open.approvals.map(({ key }) => key));
    const added = approvals.filter(({ key }) => !keys.has(key) && keys.add(key));
    const next = { ...open, approvals: [...open.approvals, ...added] };
    if (next.approvals.length > APPROVALS_MAX) {
      throw noRoom(APPROVALS_MAX, "approvals of a proposal");
    }
    this.#open.set(number, next);
    return next;
  }

  /** Closes a proposal. */
  close(number: number): void {
    const open = this.#open.get(number);
    if (open === undefined) return;
    this.#open.delete(number);
    this.#byContent.delete(open.read.contentId);
    this.#byteCount -= open.read.bytes.length;
  }

  /** Closes all that have expired. @returns them. */
  expire(nowMs: number): OpenProposal[] {
    const expired: OpenProposal[] = [];
    for (const open of this.#open.values()) {
      // Group time never goes back, so later proposals expire later.
      if (open.createdMs + PROPOSAL_LIFE_MS > nowMs) break;
      expired.push(open);
    }
    for (const { number } of expired) this.close(number);
    return expired;
  }

  /** Closes all for versions of a descriptor up to `version`. @returns them. */
  outdate(id: string, version: number): OpenProposal[] {
    const outdated = [...this.#open.values()].filter(({ read: { payload } }) =>
      payload.id === id && payload.version <= version
    );
    for (const { number } of outdated) this.close(number);
    return outdated;
  }

  /** Loads the number of the next proposal. */
  loadNext(next: number): void {
    this.#next = next;
  }

  /** Loads a proposal of an image. */
  load(
    { proposal, createdMs, createdUnixS, payload, caller, approvals }: OpenProposalRecord,
  ): void {
    this.#put({
      number: proposal,
      read: readPayload(payload),
      caller,
      createdMs,
      createdUnixS,
      approvals: approvals.map(({ signature: given, key, set }) => {
        if (given === undefined) throw new RegistryError("corrupt", "An approval has a signature");
        return { ...given, key, set };
      }),
    });
  }

  #put(open: OpenProposal): OpenProposal {
    this.#open.set(open.number, open);
    this.#byContent.set(open.read.contentId, open.number);
    this.#byteCount += open.read.bytes.length;
    return open;
  }
}

function noRoom(max: number, what: string): RegistryError {
  const fields = { retryAfterMs: 60_000 };
  return new RegistryError("overloaded", `There may be at most ${max} ${what}`, fields);
}

/** Returns a proposal for an image. */
export function proposalRecord(open: OpenProposal): Input<OpenProposalRecord> {
  const { number, read, caller, createdMs, createdUnixS, approvals } = open;
  return {
    proposal: number,
    createdMs,
    createdUnixS,
    payload: read.bytes,
    caller,
    approvals: approvals.map(({ signerId, signature, signedAt, key, set }) => ({
      signature: { signerId, signature, signedAt },
      key,
      set,
    })),
  };
}
