/**
 * Views and events of a simulated cluster that never ran, for tests of the simulator's checkers.
 */
import * as assert from "uvu/assert";
import type {
  Checker,
  ClusterView,
  NodeState,
  NodeView,
  Operation,
  ReplicaRef,
  ReplicaView,
  RunFacts,
} from "../sim/history.ts";
import { Finding } from "../sim/history.ts";
import { SIM_OUTAGES } from "../sim/plan.ts";

/** A run of a single group whose clocks are always right. */
export const FACTS: RunFacts = {
  seed: 1,
  groups: [1],
  nodeCount: 3,
  leases: true,
  driftPpm: 0,
  outages: SIM_OUTAGES,
  hasWallJumps: false,
};

/** Returns a reference to a replica on the node with the same number. */
export function refOf(replica: number, group = 1): ReplicaRef {
  return { node: replica, group, replica };
}

/** Fields of a replica; by default a follower without a leader and with an empty log. */
export type ReplicaFields = Partial<Omit<ReplicaView, "termAt" | "imageHash">> & {
  readonly ref: ReplicaRef;
  /** Terms of its entries, from index 1 on; undefined ones are compacted. */
  readonly log?: readonly (number | undefined)[];
  readonly hash?: number;
};

/** Returns a replica as a checker sees it. */
export function replicaView({ log = [], hash = 0, ...fields }: ReplicaFields): ReplicaView {
  return {
    role: "follower",
    term: 1,
    vote: 0,
    leader: 0,
    committed: 0,
    applied: fields.committed ?? 0,
    lastIndex: log.length,
    isFailed: false,
    bond: undefined,
    holdsLease: false,
    configuration: {
      voters: [1, 2, 3],
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    },
    ...fields,
    termAt: (index) => log[index - 1],
    imageHash: () => hash,
  };
}

/** Returns a node that runs those replicas. */
export function nodeView(
  id: number,
  replicas: readonly ReplicaView[],
  { run = 1, state = "up", stuckMs = 0 }: {
    readonly run?: number;
    readonly state?: NodeState;
    readonly stuckMs?: number;
  } = {},
): NodeView {
  return { id, state, run, replicas, stuckMs };
}

/** Returns a cluster of those nodes. */
export function clusterView(nowMs: number, ...nodes: readonly NodeView[]): ClusterView {
  return {
    nowMs,
    nodes,
    replicasOf: (group) =>
      nodes.flatMap(({ replicas }) => replicas.filter(({ ref }) => ref.group === group)),
  };
}

/** Reports to the checker that one replica's node has run. */
export function step(
  checker: Checker,
  fields: ReplicaFields,
  options: {
    readonly run?: number;
    readonly nowMs?: number;
    readonly others?: NodeView[];
    readonly stuckMs?: number;
  } = {},
): void {
  const node = nodeView(fields.ref.node, [replicaView(fields)], options);
  checker.afterStep!(node, clusterView(options.nowMs ?? 0, node, ...(options.others ?? [])));
}

/**
 * Returns a successful operation between two times, which are also used as its places in the order.
 */
export function operation(
  calledMs: number,
  answeredMs: number,
  fields: Partial<Operation>,
): Operation {
  return {
    client: 1,
    group: 1,
    key: "a",
    kind: "get",
    way: "propose",
    isLongLived: true,
    ttlMs: 5_000,
    end: "ok",
    code: "",
    value: 0,
    incarnation: { generation: 1, index: 1 },
    index: 0,
    term: 0,
    coverLeftMs: 0,
    calledAt: calledMs,
    answeredAt: fields.end === "unknown" ? Infinity : answeredMs,
    calledMs,
    answeredMs,
    attemptMs: calledMs,
    attempts: 1,
    ...fields,
  };
}

/** Asserts that `run` ends in a finding of that checker with a matching message. */
export function finds(checker: Checker, words: RegExp, run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    assert.is(error.checker, checker.name);
    assert.match(error.message, words);
    return;
  }
  assert.unreachable(`${checker.name} must find something`);
}
