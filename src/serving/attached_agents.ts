/**
 * Removal of the agents of a gateway that is gone, in all partitions: here where this node leads them,
 * and by their leaders elsewhere. It follows the removal of the gateway; after a crash in between, the
 * repeated request of the gateway's owner finds the tombstone and removes the agents that are left.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { REMOVE_AGENTS_AT_ONCE } from "../base/limits.ts";
import { formatUuid } from "../base/uuid.ts";
import type { Scheduler } from "../base/world.ts";
import { encodeRemove } from "../record/command.ts";
import { KIND_AGENT } from "../record/key.ts";
import type { LeaderCalls } from "./leader_calls.ts";
import type { Requester } from "./node_calls.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import type { Proposer } from "./proposer.ts";

/** Dependencies of {@link AttachedAgents}. */
export interface AttachedAgentsParts {
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  readonly leaders: LeaderCalls;
  readonly scheduler: Scheduler;
}

/** Whose agents are removed, and on whose behalf. */
export interface AgentsOfGateway {
  readonly gatewayId: Uint8Array;
  readonly requester: Requester;
  /** Deadline, monotonic ms. */
  readonly deadlineMs: number;
}

/** Removes the agents of gateways. */
export class AttachedAgents {
  readonly #parts: AttachedAgentsParts;

  constructor(parts: AttachedAgentsParts) {
    this.#parts = parts;
  }

  /**
   * Removes the agents in all partitions; returns their number.
   *
   * @throws RegistryError `deadline_exceeded` if a partition had no leader in time; agents may be left.
   */
  async removeAll(agents: AgentsOfGateway): Promise<number> {
    const { table } = this.#parts;
    const here = await this.removeHere(
      agents,
      Array.from({ length: table.partitioner.partitionCount }, (_, id) => id),
    );
    let removed = here.removed;
    let left: readonly number[] = here.left;
    while (left.length > 0) {
      const first = left[0]!;
      const done = await this.#removeElsewhere(agents, first, left);
      removed += done.removed;
      const stillLeft = new Set(done.left);
      left = left.filter((partition) => stillLeft.has(partition));
    }
    return removed;
  }

  /**
   * Removes the agents in those of the partitions that this node leads; returns the others as left. All
   * agents are scanned, which takes at least 50 ms for a million, so it yields the event loop between
   * partitions.
   */
  async removeHere(
    agents: AgentsOfGateway,
    partitions: readonly number[],
  ): Promise<{ readonly removed: number; readonly left: number[] }> {
    const { table, proposer, scheduler } = this.#parts;
    const left: number[] = [];
    let removed = 0;
    for (const id of partitions) {
      const partition = table.at(id);
      if (!partition.isHere || partition.group.notLeading() !== undefined) {
        left.push(id);
        continue;
      }
      try {
        // A leader that was replaced may lack agents that registered before the gateway was removed.
        const leftMs = proposer.leftMs(agents.deadlineMs);
        const permitted = await partition.group.readBarrier(0, leftMs);
        if (permitted instanceof RegistryError) throw permitted;
        if (partition.store.countOf(KIND_AGENT) === 0) continue;
        await new Promise<void>((resolve) => scheduler.nextTurn(resolve));
        removed += await this.#removeIn(partition, agents);
      } catch (cause) {
        const error = toRegistryError(cause);
        if (error.code !== "not_leader") throw error;
        left.push(id);
      }
    }
    return { removed, left };
  }

  /** Has the leader of partition `first` remove the agents there and in all others that it leads. */
  async #removeElsewhere(
    agents: AgentsOfGateway,
    first: number,
    partitions: readonly number[],
  ): Promise<{ readonly removed: number; readonly left: readonly number[] }> {
    const { table, leaders } = this.#parts;
    const { gatewayId, requester, deadlineMs } = agents;
    const ledOf = (done: { readonly removed: number; readonly left: readonly number[] }) => {
      if (!done.left.includes(first)) return done;
      throw new RegistryError("not_leader", `Partition ${first} changes its leader`);
    };
    return await leaders.take({
      what: `the agents of gateway ${formatUuid(gatewayId)}`,
      place: () => table.at(first),
      here: async () => ledOf(await this.removeHere(agents, partitions)),
      there: async (calls, node, timeoutMs) => {
        const body = { gatewayId, partitions, ...requester };
        return ledOf(await calls.call(node, "removeAgents", body, timeoutMs));
      },
      deadlineMs,
    });
  }

  async #removeIn(partition: Partition, agents: AgentsOfGateway): Promise<number> {
    const { proposer } = this.#parts;
    const commands = this.#removalsOf(partition, agents);
    let removed = 0;
    for (let at = 0; at < commands.length; at += REMOVE_AGENTS_AT_ONCE) {
      const outcomes = await Promise.all(
        commands.slice(at, at + REMOVE_AGENTS_AT_ONCE).map((command) =>
          proposer.propose(partition, command, agents.deadlineMs)
        ),
      );
      for (const { outcome } of outcomes) removed += outcome.count;
    }
    return removed;
  }

  #removalsOf(partition: Partition, { gatewayId, requester }: AgentsOfGateway): Uint8Array[] {
    const { store } = partition;
    const commands: Uint8Array[] = [];
    const header = this.#parts.proposer.header(partition, requester.lineage);
    store.forEachSlot(KIND_AGENT, (slot) => {
      const agent = store.agentView(slot);
      if (!agent.gatewayIdEquals(gatewayId)) return;
      commands.push(encodeRemove(header, {
        id: agent.id,
        incarnation: { generation: agent.incarnationGeneration, index: agent.incarnationIndex },
        process: 0,
        sequence: 0,
        kind: KIND_AGENT,
      }));
    });
    return commands;
  }
}
