/**
 * The next steps towards the wished placement of partitions and of the governed plane, and the wished
 * voters of group 0, by whose rule the governed plane's are chosen too. Pure: every leader of group 0
 * that sees the same state plans the same.
 *
 * A partition moves in one change: replicas on new nodes are placed as `joining` and superfluous ones as
 * `leaving`; the partition's leader then reconfigures its group (reconfigurer.ts), and the placement is
 * confirmed. A partition whose change is in progress is left alone, so that two plans never overlap; unless
 * a node that is to join it may hold nothing any more: such a change could not end, so it gets another step.
 *
 * While moves are paused, only partitions move that lack a replica, or have one on a node that departs or was
 * removed; what is in progress ends.
 */
import type { PlacedRole } from "../../../schemas/gen/system.ts";
import { GOVERNED_PLACE, type PartitionId, partitionId } from "../../base/ids.ts";
import { REPLICAS_ASSIGNED_MAX, SYSTEM_VOTERS_MAX } from "../../base/limits.ts";
import { type PlacementNode, placePartitions, REPLICAS } from "../../ring/placement.ts";
import {
  isChanging,
  isGoing,
  type PartitionPlacement,
  type PlacedReplica,
  type PlacementStep,
} from "../../system/placement/placement_state.ts";
import type { SystemState } from "../../system/system_state.ts";
import { nodeOfReplica, placementOf } from "../assembly/placed_here.ts";

/** A partition, or the governed plane, that is to get replicas on other nodes. */
export interface PlannedMove {
  readonly placement: PartitionPlacement;
  /** Nodes that get a new replica. */
  readonly joining: readonly number[];
  /** Nodes whose replica leaves. */
  readonly leaving: readonly number[];
  /** Nodes whose replica was to leave, and votes on. */
  readonly returning: readonly number[];
  /** Nodes whose replica was to join, and is given up. */
  readonly withdrawn: readonly number[];
}

/** The parameters of {@link planMoves}. */
export interface PlanOptions {
  readonly state: SystemState;
  /** The nodes that may hold replicas. */
  readonly nodes: readonly PlacementNode[];
  /** Changes that may be in progress at once. */
  readonly movesMax: number;
  /** Nodes that keep their replicas for now, because they have not handed over their leaderships. */
  readonly waiting?: ReadonlySet<number>;
}

/** Returns the groups that are to move next: none while enough changes are in progress. */
export function planMoves(options: PlanOptions): PlannedMove[] {
  const { state, nodes, movesMax, waiting = NONE } = options;
  const { genesis } = state.founding;
  const { changing } = state.placement;
  if (genesis === undefined || nodes.length === 0) return [];
  const { partitionCount, hashKey } = genesis;
  const wished = placePartitions({ nodes, partitionCount, hashKey });
  const mayHold = new Set(nodes.map(({ nodeId }) => nodeId));
  const moves: PlannedMove[] = [];
  let free = movesMax - changing.size;
  let replicas = 0;
  // The governed plane comes last.
  for (let number = 0; number <= partitionCount; number++) {
    const place = number < partitionCount ? partitionId(number) : GOVERNED_PLACE;
    const isBegun = changing.has(place);
    if (!isBegun && free <= 0) continue;
    const placement = placementOf(state, place);
    // The governed plane begins with a replica that founds it.
    if (placement.replicas.length === 0) continue;
    const held = heldOf(state, placement);
    if (isBegun && held.every(({ node, role }) => role !== "joining" || mayHold.has(node))) {
      continue;
    }
    const to = wished[number] ?? wishedSystemVoters(nodes, new Set(held.map(({ node }) => node)));
    if (state.moves.arePaused && isWhole(held, to.length, mayHold)) continue;
    const move = moveTo(state, to, placement, held);
    const { joining, leaving, returning, withdrawn } = move;
    if ([joining, leaving, returning, withdrawn].every(({ length }) => length === 0)) continue;
    if (move.leaving.some((node) => waiting.has(node))) continue;
    replicas += move.joining.length;
    if (replicas > REPLICAS_ASSIGNED_MAX) break;
    if (!isBegun) free--;
    moves.push(move);
  }
  return moves;
}

const NONE: ReadonlySet<number> = new Set();

/** Returns the replicas that no group gives up: as many as the members allow that stay, heard of or not. */
export function replicasMin({ members, departures }: SystemState): number {
  const staying = members.all.filter(({ nodeId }) => !departures.has(nodeId)).length;
  return Math.min(REPLICAS, staying);
}

/** A replica of a placement with its node; 0: the node is not known. */
interface Held {
  readonly node: number;
  readonly role: PlacedRole;
}

function heldOf(state: SystemState, { replicas }: PartitionPlacement): Held[] {
  return replicas.map(({ replica, role }) => ({ node: nodeOfReplica(state, replica) ?? 0, role }));
}

/** Reports whether as many replicas as are wished stay, all of them on nodes that may hold them. */
function isWhole(
  held: readonly Held[],
  wished: number,
  mayHold: ReadonlySet<number>,
): boolean {
  return held.length >= wished && held.every(({ node }) => mayHold.has(node));
}

/**
 * Returns the move of a partition to the nodes `to`. No replica leaves that would be missed: members that are
 * not heard of now are not among `to`. Nor is one given up that would be missed if it votes already, which
 * is not known before its change is confirmed.
 */
function moveTo(
  state: SystemState,
  to: readonly number[],
  placement: PartitionPlacement,
  held: readonly Held[],
): PlannedMove {
  const wanted = replicasMin(state);
  const nodesOf = (role: PlacedRole) =>
    held.filter((replica) => replica.role === role).map(({ node }) => node);
  const isWished = (node: number) => to.includes(node);
  const isUnwished = (node: number) => !isWished(node);
  const [voters, going] = [nodesOf("voter"), nodesOf("leaving")];
  const joining = to.filter((node) => held.every((replica) => replica.node !== node));
  const coming = joining.length + nodesOf("joining").filter(isWished).length;
  const staying = voters.filter(isWished);
  const returning = going.filter(isWished);
  const leaving = voters.filter(isUnwished);
  let missed = Math.min(wanted, voters.length + going.length) - coming - staying.length -
    returning.length;
  // A placement keeps a voter: the last of the former ones leaves when the new ones vote.
  if (staying.length + returning.length === 0) missed = Math.max(1, missed);
  if (missed > 0) missed -= leaving.splice(0, missed).length;
  if (missed > 0) returning.push(...going.filter(isUnwished).slice(0, missed));
  const lacking = Math.max(
    0,
    wanted - coming - (voters.length - leaving.length) - returning.length,
  );
  const unwished = nodesOf("joining").filter(isUnwished);
  const kept = unwished.filter((node) => !state.members.wasRemoved(node)).slice(0, lacking);
  const withdrawn = unwished.filter((node) => !kept.includes(node));
  return { placement, joining, leaving, returning, withdrawn };
}

/** Returns the move of a placement that is changing. */
export function moveInProgress(state: SystemState, place: PartitionId): PlannedMove {
  const placement = placementOf(state, place);
  const held = heldOf(state, placement);
  const nodesIn = (wanted: PlacedRole) =>
    held.filter(({ role }) => role === wanted).map(({ node }) => node);
  const [joining, leaving] = [nodesIn("joining"), nodesIn("leaving")];
  return { placement, joining, leaving, returning: [], withdrawn: nodesIn("withdrawn") };
}

/**
 * Returns the command that begins a move.
 *
 * @param assigned the new replica ids, one for each joining node.
 */
export function beginMove(
  state: SystemState,
  { placement, leaving, returning, withdrawn }: PlannedMove,
  assigned: readonly number[],
): PlacementStep {
  const kept = placement.replicas.map((placed): PlacedReplica => {
    const node = nodeOfReplica(state, placed.replica) ?? 0;
    if (leaving.includes(node)) return { ...placed, role: "leaving" };
    if (returning.includes(node)) return { ...placed, role: "voter" };
    return withdrawn.includes(node) ? { ...placed, role: "withdrawn" } : placed;
  });
  const { partition, revision, configurationIndex } = placement;
  const joining = assigned.map((replica) => ({ replica, role: "joining" as const }));
  return {
    partition,
    configurationIndex,
    replacedRevision: revision,
    replicas: [...kept, ...joining],
  };
}

/** A change that the leader of a partition has made: every joining replica votes, no leaving one is left. */
export interface MadeChange {
  readonly partition: number;
  /** Revision of the placement that asked for it. */
  readonly revision: number;
  /** An index at which the new configuration was in force. */
  readonly configurationIndex: number;
}

/** The parts of the plan that a node has done. */
export interface PlacementReport {
  readonly changes: readonly MadeChange[];
  /** Revision of the node's departure, if it has handed over everything that it led; else 0. */
  readonly handedOver: number;
}

/** Returns the command that ends a move; undefined if the placement has moved on. */
export function endMove(state: SystemState, made: MadeChange): PlacementStep | undefined {
  const placement = state.placement.of(made.partition);
  if (placement?.revision !== made.revision || !isChanging(placement)) return undefined;
  const replicas = placement.replicas.filter(({ role }) => !isGoing(role))
    .map(({ replica, role }) => ({ replica, role: role === "joining" ? "voter" as const : role }));
  const configurationIndex = Math.max(made.configurationIndex, placement.configurationIndex);
  return {
    partition: made.partition,
    configurationIndex,
    replacedRevision: made.revision,
    replicas,
  };
}

/**
 * Returns the nodes that are to vote in group 0: up to five, an odd number of them where there are more
 * than two nodes, spread over zones. Nodes that vote now are preferred, so that voters seldom change.
 */
export function wishedSystemVoters(
  nodes: readonly PlacementNode[],
  voting: ReadonlySet<number>,
): number[] {
  const few = Math.min(nodes.length, SYSTEM_VOTERS_MAX);
  const count = few > 2 && few % 2 === 0 ? few - 1 : few;
  const left = [...nodes].sort((a, b) =>
    Number(voting.has(b.nodeId)) - Number(voting.has(a.nodeId)) || a.nodeId - b.nodeId
  );
  const perZone = new Map<string, number>();
  const chosen: number[] = [];
  while (chosen.length < count) {
    let best = 0;
    left.forEach(({ zone }, at) => {
      if ((perZone.get(zone) ?? 0) < (perZone.get(left[best]!.zone) ?? 0)) best = at;
    });
    const [node] = left.splice(best, 1);
    perZone.set(node!.zone, (perZone.get(node!.zone) ?? 0) + 1);
    chosen.push(node!.nodeId);
  }
  return chosen;
}
