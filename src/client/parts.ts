/**
 * Sends a call of many items in parts, one for each node that leads some of them, or that serves
 * them at the accepted age, in parallel, and joins the outcomes in the order of the items.
 *
 * A part that fails affects its own items only. Items that a node did not serve are asked again
 * elsewhere, at once and then with pauses, until the deadline.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { type ClusterRouting, isForOthers, type Part } from "./cluster_routing.ts";
import type { CallOptions } from "./call_options.ts";

/** The outcome of one item. */
export type ItemOutcome<T> = T | RegistryError;

/** A call of many items. */
export interface PartedCall<T> {
  /** The number of items. */
  readonly count: number;
  readonly partitionOf: (position: number) => number;
  /** Sends the items at `positions`, and returns the outcome of each in the same order. */
  readonly ask: (
    positions: readonly number[],
    options: CallOptions,
    part: Part,
  ) => Promise<readonly ItemOutcome<T>[]>;
  readonly options: CallOptions;
  /** For reads: the age that is accepted, ms. Default: 0, for linearizable reads and for writes. */
  readonly maxStalenessMs?: number;
}

/** Returns the outcome of each item. Never rejects. */
export async function askInParts<T>(
  routes: ClusterRouting,
  { count, partitionOf, ask, options, maxStalenessMs = 0 }: PartedCall<T>,
): Promise<ItemOutcome<T>[]> {
  const deadline = routes.deadline(options);
  const outcomes: ItemOutcome<T>[] = [];
  const alone = new Set<number>();
  let open = Array.from({ length: count }, (_, position) => position);
  for (let round = 0; open.length > 0; round++) {
    if (round > 0 && !await routes.pause(round, deadline)) break;
    const parts = routes.plan({ positions: open, partitionOf, round, alone, maxStalenessMs });
    open = [];
    await Promise.all(parts.map(async ({ part, positions }) => {
      const asked = ask(positions, deadline.options(), part);
      const { found, isWhole } = await outcomesOf(asked, positions.length);
      positions.forEach((position, index) => {
        const outcome = outcomes[position] = found[index]!;
        if (!(outcome instanceof RegistryError) || !isForOthers(outcome)) return;
        open.push(position);
        // A whole part was refused, and it is not known for which of its partitions.
        if (isWhole) alone.add(partitionOf(position));
        else {
          const { code } = outcome;
          const partition = partitionOf(position);
          routes.refused({ partition, nodeId: part.servedBy, maxStalenessMs, code });
        }
      });
    }));
  }
  return outcomes;
}

/** Waits for the outcomes of a part; its failure is the outcome of each of its items. */
async function outcomesOf<T>(
  asked: Promise<readonly ItemOutcome<T>[]>,
  count: number,
): Promise<{ readonly found: readonly ItemOutcome<T>[]; readonly isWhole: boolean }> {
  try {
    return { found: await asked, isWhole: false };
  } catch (cause) {
    const error = toRegistryError(cause);
    const { code } = error;
    const isWhole = code === "not_leader" || code === "not_replica" || code === "too_stale";
    return { found: new Array<RegistryError>(count).fill(error), isWhole };
  }
}
