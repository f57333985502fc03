/**
 * Proposals to one group: the checks before the core is asked, and the fast path of a group without
 * other members, whose entries are committed as soon as they are durable.
 */
import { RegistryError } from "../base/errors.ts";
import { groupName } from "../base/ids.ts";
import { GROUP_PROPOSALS_MAX, WAL_ENTRY_BYTES_MAX } from "../base/limits.ts";
import type { ConfChange, Configuration, Entry, ProposeResult } from "../raft/mod.ts";
import { endedError, overloadedError, proposalError } from "./group_errors.ts";
import type { Proposed } from "./group_interface.ts";
import type { GroupParts, GroupSteps } from "./group_parts.ts";

/** Takes the proposals to one group. */
export class GroupProposer<Outcome> {
  readonly #parts: GroupParts;
  readonly #loop: GroupSteps;

  constructor(parts: GroupParts, loop: GroupSteps) {
    this.#parts = parts;
    this.#loop = loop;
  }

  /** Proposes a command; see `Group.propose`. */
  propose(command: Uint8Array, timeoutMs: number): Promise<Proposed<Outcome>> {
    const { length } = command;
    if (length === 0 || length > WAL_ENTRY_BYTES_MAX) {
      return refused(
        new RegistryError(
          "too_large",
          `Command must have 1 to ${WAL_ENTRY_BYTES_MAX} bytes: it has ${length}`,
        ),
      );
    }
    return this.#proposeAlone<Outcome>(command, timeoutMs) ??
      this.#propose<Outcome>(timeoutMs, () => this.#parts.node.propose(command));
  }

  /** Proposes a configuration change; settles with the resulting configuration. */
  proposeConfChange(change: ConfChange, timeoutMs: number): Promise<Proposed<Configuration>> {
    const { id, leadership, support, node } = this.#parts;
    if (leadership.term !== 0 && !support.coversChange(change)) {
      return refused(overloadedError(`${groupName(id)} waits for the new voters' support`));
    }
    return this.#propose<Configuration>(timeoutMs, () => node.proposeConfChange(change));
  }

  #propose<Result>(
    timeoutMs: number,
    propose: () => ProposeResult,
  ): Promise<Proposed<Result>> {
    const { id, node } = this.#parts;
    const refusal = this.#refusal();
    if (refusal !== undefined) return refused(refusal);
    let result: ProposeResult = "no_leader";
    this.#loop.guarded(() => result = propose());
    if (this.#loop.end !== undefined) return refused(endedError(id, this.#loop.end));
    const error = proposalError(id, result, () => this.#loop.notLeader());
    if (error !== undefined) return refused(error);
    const { lastIndex: index, term } = node;
    const proposed = this.#outcomeOf<Result>({ index, term }, timeoutMs);
    this.#loop.wantsWork();
    return proposed;
  }

  /** The fast path of a group without other members; undefined if the command must be proposed. */
  #proposeAlone<Result>(
    command: Uint8Array,
    timeoutMs: number,
  ): Promise<Proposed<Result>> | undefined {
    const { members, node, storage } = this.#parts;
    if (!members.isAlone || this.#refusal() !== undefined) return undefined;
    let entry: Entry | undefined;
    this.#loop.guarded(() => entry = node.appendAlone(command));
    if (entry === undefined) return undefined;
    const proposed = this.#outcomeOf<Result>(entry, timeoutMs);
    storage.append(entry);
    return proposed;
  }

  #outcomeOf<Result>(
    { index, term }: Pick<Entry, "index" | "term">,
    timeoutMs: number,
  ): Promise<Proposed<Result>> {
    const { host, proposals } = this.#parts;
    const deadlineMs = host.clock.nowMs() + timeoutMs;
    const proposed = proposals.add<Result>({ index, term, deadlineMs });
    this.#loop.hasWaiters();
    return proposed;
  }

  #refusal(): RegistryError | undefined {
    const { id, host, leadership, members, proposals, storage } = this.#parts;
    if (this.#loop.end !== undefined) return endedError(id, this.#loop.end);
    if (leadership.term === 0) {
      // A sole voter that does not lead yet waits for the log, so the log's refusal is the reason.
      return (members.isSole ? host.writeRefusal() : undefined) ?? this.#loop.notLeader();
    }
    const { count } = proposals;
    if (count >= GROUP_PROPOSALS_MAX) {
      return overloadedError(`${groupName(id)} has ${count} commands in progress, its limit`);
    }
    return host.writeRefusal() ?? storage.blocked;
  }
}

function refused(error: RegistryError): Promise<{ ok: false; error: RegistryError }> {
  return Promise.resolve({ ok: false, error });
}
