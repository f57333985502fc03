/** Starts the watches and views of a client, once their parameters are checked. */
import {
  VIEW_BYTES_MAX_DEFAULT,
  VIEW_RECORDS_MAX_DEFAULT,
  VIEW_TIMEOUT_MS_DEFAULT,
  WATCH_PROGRESS_MS_DEFAULT,
  WATCH_PROGRESS_MS_MAX,
  WATCH_PROGRESS_MS_MIN,
} from "../../base/limits.ts";
import { checkedStaleness } from "../bounded_reads.ts";
import type {
  CachedView,
  CachedViewOptions,
  RecordFilter,
  Watch,
  WatchFilter,
  WatchOptions,
} from "../watch_types.ts";
import { type ViewCalls, WatchedView } from "./cached_view.ts";
import { type DomainCalls, DomainWatch } from "./domain_watch.ts";
import { checkedFilter, invalid } from "./filter.ts";
import { RecordWatch } from "./record_watch.ts";
import type { WatchRouting } from "./watch_routing.ts";

/** Starts a watch. @throws RegistryError `invalid_argument`. */
export function startWatch(
  routing: WatchRouting,
  filter: WatchFilter,
  options: WatchOptions,
  calls: DomainCalls,
): Watch {
  const { from, state = false, before = false, mirrors = true, signal } = options;
  if (from !== undefined && state) throw invalid("state", "not be asked for together with from");
  const common = {
    progressMs: checkedProgress(options.progressMs),
    withBefore: before,
    withMirrors: mirrors,
    maxStalenessMs: checkedStaleness(options.maxStalenessMs ?? 0),
    timeoutMs: options.timeoutMs ?? routing.timeoutMs,
  };
  const { domain, ...others } = filter;
  if (domain !== undefined) {
    checkAlone(others);
    return new DomainWatch(routing, { ...common, domain, from, state }, calls, signal);
  }
  return new RecordWatch(routing, {
    ...common,
    filter: checkedFilter(filter),
    from: from === undefined ? (state ? "state" : "next") : { token: from },
    asksProgress: false,
    startsAnew: false,
    follower: "",
  }, signal);
}

function checkAlone(others: Omit<WatchFilter, "domain">): void {
  const [field] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
  if (field !== undefined) throw invalid(field, "not be given together with domain");
}

/** Starts a view and waits until it is complete. @throws RegistryError as {@link WatchedView.ready}. */
export async function openView(
  routing: WatchRouting,
  filter: RecordFilter,
  options: CachedViewOptions,
  calls: ViewCalls,
): Promise<CachedView> {
  const { timeoutMs = VIEW_TIMEOUT_MS_DEFAULT, maxStalenessMs } = options;
  const view = new WatchedView(routing, {
    session: {
      filter: checkedFilter(filter),
      from: "state",
      progressMs: checkedProgress(options.progressMs),
      withBefore: false,
      withMirrors: false,
      maxStalenessMs: 0,
      timeoutMs,
      asksProgress: true,
      startsAnew: true,
      follower: "",
    },
    recordsMax: options.recordsMax ?? VIEW_RECORDS_MAX_DEFAULT,
    bytesMax: options.bytesMax ?? VIEW_BYTES_MAX_DEFAULT,
    maxStalenessMs: maxStalenessMs === undefined ? Infinity : checkedStaleness(maxStalenessMs),
  }, calls);
  await view.ready(timeoutMs);
  return view;
}

/** Returns the interval of progress. @throws RegistryError `invalid_argument`. */
export function checkedProgress(progressMs: number = WATCH_PROGRESS_MS_DEFAULT): number {
  const isValid = Number.isInteger(progressMs) && progressMs >= WATCH_PROGRESS_MS_MIN &&
    progressMs <= WATCH_PROGRESS_MS_MAX;
  if (isValid) return progressMs;
  throw invalid(
    "progressMs",
    `be an integer in [${WATCH_PROGRESS_MS_MIN}, ${WATCH_PROGRESS_MS_MAX}]: ` +
      `current value is ${progressMs}`,
  );
}
