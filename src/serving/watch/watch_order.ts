/** The request of a watch, checked. */
import { WATCH_STARTS, type WatchPosition, type WatchRequest } from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import {
  REGION_BYTES_MAX,
  WATCH_KEYS_MAX,
  WATCH_LABELS_MAX,
  WATCH_PROGRESS_MS_DEFAULT,
  WATCH_PROGRESS_MS_MAX,
  WATCH_PROGRESS_MS_MIN,
} from "../../base/limits.ts";
import { UUID_BYTES } from "../../base/uuid.ts";
import { canonicalDomain } from "../../record/domain.ts";
import { domainBytes, KIND_ALIAS } from "../../record/key.ts";
import { RECORD_KINDS, recordKind } from "../../record/kinds.ts";
import { checkRegion, invalid } from "../../record/validation.ts";
import type { StoredFilter } from "./watch_filter.ts";

/** A watch as requested. */
export interface WatchOrder {
  readonly filter: StoredFilter;
  /** At least one, each of another partition of the cluster, in ascending order. */
  readonly positions: readonly WatchPosition[];
  readonly progressMs: number;
  readonly withBefore: boolean;
  /** The region that follows this one; empty if it is a client that watches. */
  readonly follower: string;
}

/**
 * Checks the request of a watch.
 *
 * @param mayList whether it may ask for the state.
 * @throws RegistryError `invalid_argument`, `too_large`.
 */
export function checkedOrder(
  request: WatchRequest,
  partitionCount: number,
  mayList: boolean,
): WatchOrder {
  if (request.follower !== "") throw invalid("follower", "be empty", request.follower);
  if (request.kind === KIND_ALIAS && request.withMirrors) {
    throw invalid("withMirrors", "be false in a watch of aliases", "true");
  }
  return {
    filter: checkedFilter(request),
    positions: checkedPositions(request, partitionCount, mayList),
    progressMs: checkedProgressMs(request.progressMs),
    withBefore: request.withBefore,
    follower: "",
  };
}

/**
 * Checks the request of the feed of another region, which has no conditions.
 *
 * @throws RegistryError `invalid_argument`.
 */
export function checkedFeed(request: WatchRequest, partitionCount: number): WatchOrder {
  const { kind, region, labels, ids, domains, withBefore, follower } = request;
  checkRegion(follower, "follower");
  const conditions = labels.length + ids.length + domains.length;
  if (kind !== 0 || region !== "" || conditions > 0 || withBefore) {
    const wanted = "be of all records, without the records before their changes";
    throw invalid("kind", wanted, kind);
  }
  return {
    filter: { ...checkedFilter(request), isFeed: true, withMirrors: false },
    positions: checkedPositions(request, partitionCount, true),
    progressMs: checkedProgressMs(request.progressMs),
    withBefore,
    follower,
  };
}

function checkedFilter(
  { kind, region, labels, ids, domains, withMirrors }: WatchRequest,
): StoredFilter {
  const isOfAliases = kind === KIND_ALIAS;
  checkCount("ids", ids.length, isOfAliases ? 0 : WATCH_KEYS_MAX);
  checkCount("domains", domains.length, isOfAliases ? WATCH_KEYS_MAX : 0);
  checkCount("labels", labels.length, isOfAliases ? 0 : WATCH_LABELS_MAX);
  const encoder = new TextEncoder();
  const regionBytes = encoder.encode(region);
  if (regionBytes.length > (isOfAliases ? 0 : REGION_BYTES_MAX)) {
    const wanted = isOfAliases ? "be empty, as aliases have none" : "be a name of a region";
    throw invalid("region", wanted, region);
  }
  for (const id of ids) {
    if (id.length !== UUID_BYTES) throw invalid("ids", "have 16 bytes each", id.length);
  }
  return {
    kinds: kindsOf(kind),
    region: regionBytes,
    labels: labels.map(({ key, value }) => ({
      key: encoder.encode(key),
      value: encoder.encode(value),
    })),
    keys: isOfAliases ? domains.map((name) => domainBytes(canonicalDomain(name, "domains"))) : ids,
    isFeed: false,
    withMirrors,
  };
}

function kindsOf(kind: number): readonly number[] {
  if (kind === 0) return RECORD_KINDS.servedRows.map(({ number }) => number);
  return [kind === KIND_ALIAS ? kind : recordKind(kind)];
}

function checkCount(field: string, found: number, max: number): void {
  if (found <= max) return;
  throw new RegistryError(
    max === 0 ? "invalid_argument" : "too_large",
    `${field} must be at most ${max} in a watch of this kind: found ${found}`,
    { field },
  );
}

function checkedPositions(
  { kind, positions }: WatchRequest,
  partitionCount: number,
  mayList: boolean,
): readonly WatchPosition[] {
  if (positions.length === 0) throw invalid("positions", "name a partition", "none");
  const sorted = [...positions].sort((left, right) => left.partition - right.partition);
  let before = -1;
  for (const { partition, start, afterId } of sorted) {
    if (partition >= partitionCount || partition === before) {
      const wanted = `name partitions below ${partitionCount}, each once`;
      throw invalid("positions", wanted, partition);
    }
    before = partition;
    if (start > WATCH_STARTS.state) throw invalid("positions", "start at 0, 1 or 2", start);
    if (start === WATCH_STARTS.state && !mayList) {
      throw invalid("positions", "not start with the state, for which listAndWatch is", start);
    }
    if (afterId.length === 0) continue;
    const mayContinue = start === WATCH_STARTS.state && kind !== KIND_ALIAS;
    if (afterId.length !== UUID_BYTES || !mayContinue) {
      const wanted = "have an afterId of 16 bytes, with the state of records with an id, or none";
      throw invalid("positions", wanted, afterId.length);
    }
  }
  return sorted;
}

function checkedProgressMs(progressMs: number): number {
  if (progressMs === 0) return WATCH_PROGRESS_MS_DEFAULT;
  if (progressMs >= WATCH_PROGRESS_MS_MIN && progressMs <= WATCH_PROGRESS_MS_MAX) return progressMs;
  const wanted = `be 0, or in [${WATCH_PROGRESS_MS_MIN}, ${WATCH_PROGRESS_MS_MAX}]`;
  throw invalid("progressMs", wanted, progressMs);
}
