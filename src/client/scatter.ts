/**
 * Reads of all partitions of a cluster: each node is asked for those that it leads, or that it
 * serves at the accepted age, in parallel, and the cursor (src/wire/list_cursor.ts) is advanced by
 * what each of them served.
 *
 * A partition that no node served yet is asked for again elsewhere, at once and then with pauses.
 * One that cannot be read before the deadline fails the whole read, with an error that names it: a
 * list is complete as far as its cursor says, or it is refused.
 */
import { type ErrorCode, RegistryError, toRegistryError } from "../base/errors.ts";
import {
  decodeListCursor,
  encodeListCursor,
  type ListCursor,
  newListCursor,
} from "../wire/list_cursor.ts";
import type { CallOptions } from "./call_options.ts";
import { type ClusterRouting, isForOthers, type Part } from "./cluster_routing.ts";

/** Partitions that an error names. */
const NAMED_MAX = 8;
const NONE: ReadonlySet<number> = new Set();

/** A page as a node returned it. */
interface NodePage {
  readonly nextCursor: Uint8Array | undefined;
}

/** A read of many partitions. */
export interface ScatteredRead<P extends NodePage> {
  /** The partitions to read; advanced by the read. */
  readonly cursor: ListCursor;
  readonly options: CallOptions;
  /** Returns how many records are wanted from so many nodes together; 0 ends the read. */
  readonly wanted: (nodes: number) => number;
  /** Asks one node for at most `limit` records. */
  readonly ask: (
    request: { readonly cursor: Uint8Array; readonly limit: number },
    options: CallOptions,
    part: Part,
  ) => Promise<P>;
  /** Takes a page over. */
  readonly take: (page: P) => void;
}

/**
 * Reads until all partitions are finished or enough records were read.
 *
 * @throws RegistryError as the requests; the last refusal, with the partitions that are missing.
 */
export async function scatter<P extends NodePage>(
  routes: ClusterRouting,
  { cursor, options, wanted, ask, take }: ScatteredRead<P>,
): Promise<void> {
  const deadline = routes.deadline(options);
  const maxStalenessMs = routes.stalenessOf(options);
  const partitionOf = (partition: number) => partition;
  let misses = 0;
  for (;;) {
    const open = unfinished(cursor);
    const items = { positions: open, partitionOf, round: misses, alone: NONE, maxStalenessMs };
    const planned = open.length === 0 ? [] : routes.plan(items);
    const limit = wanted(planned.length);
    if (planned.length === 0 || limit === 0) return;
    const asked = planned.slice(0, limit);
    const missing: number[] = [];
    let refusal: RegistryError | undefined;
    const answers = await Promise.all(asked.map(async ({ part, positions }, index) => {
      const share = Math.floor(limit / asked.length) + (index < limit % asked.length ? 1 : 0);
      const request = { cursor: requestCursor(cursor, positions), limit: share };
      try {
        const page = await ask(request, deadline.options(), part);
        return { page, part, positions, left: cursorAfter(page, cursor.finished.partitionCount) };
      } catch (cause) {
        const error = toRegistryError(cause);
        // What a node did not answer in time is missing, too.
        if (!isForOthers(error) && error.code !== "deadline_exceeded") throw error;
        refusal = error;
        missing.push(...positions);
        return undefined;
      }
    }));
    for (const answer of answers) {
      if (answer === undefined) continue;
      take(answer.page);
      for (const partition of answer.positions) {
        if (!advance(cursor, answer.left, partition)) continue;
        missing.push(partition);
        routes.refused({ partition, nodeId: answer.part.servedBy, maxStalenessMs });
      }
    }
    if (missing.length === 0) misses = 0;
    else if (!await routes.pause(++misses, deadline)) {
      // Nodes leave out what they do not serve, without a reason.
      const code = refusal?.code ?? (maxStalenessMs > 0 ? "too_stale" : "not_replica");
      throw incomplete(missing, cursor, { code, cause: refusal });
    }
  }
}

function unfinished({ finished }: ListCursor): number[] {
  const partitions: number[] = [];
  for (let partition = 0; partition < finished.partitionCount; partition++) {
    if (!finished.has(partition)) partitions.push(partition);
  }
  return partitions;
}

/** Returns the cursor that asks one node for `partitions` only. */
function requestCursor(cursor: ListCursor, partitions: readonly number[]): Uint8Array {
  const request = newListCursor(cursor.finished.partitionCount);
  request.finished.bytes.fill(0xff);
  for (const partition of partitions) {
    request.finished.delete(partition);
    const afterId = cursor.begun.get(partition);
    if (afterId !== undefined) request.begun.set(partition, afterId);
  }
  return encodeListCursor(request);
}

/** Returns what a node left; undefined if it finished all. @throws RegistryError `malformed`. */
function cursorAfter(page: NodePage, partitionCount: number): ListCursor | undefined {
  if (page.nextCursor === undefined) return undefined;
  const left = decodeListCursor(page.nextCursor, partitionCount);
  if (left !== undefined) return left;
  throw new RegistryError(
    "malformed",
    `Reply must hold a cursor over ${partitionCount} partitions: it holds another one`,
  );
}

/** Takes over how far a node got in a partition; returns whether the partition is elsewhere. */
function advance(cursor: ListCursor, left: ListCursor | undefined, partition: number): boolean {
  if (left === undefined || left.finished.has(partition)) {
    cursor.finished.add(partition);
    cursor.begun.delete(partition);
    return false;
  }
  const afterId = left.begun.get(partition);
  if (afterId !== undefined) cursor.begun.set(partition, afterId);
  return left.elsewhere.has(partition);
}

function incomplete(
  missing: readonly number[],
  { finished: { partitionCount } }: ListCursor,
  { code, cause }: { readonly code: ErrorCode; readonly cause: RegistryError | undefined },
): RegistryError {
  const sorted = [...missing].sort((left, right) => left - right);
  const named = sorted.slice(0, NAMED_MAX).join(", ");
  const more = sorted.length > NAMED_MAX ? ", …" : "";
  return new RegistryError(
    code,
    `The list is incomplete: ${sorted.length} of ${partitionCount} partitions were not served in ` +
      `time (${named}${more})`,
    { partitions: sorted },
    cause,
  );
}
