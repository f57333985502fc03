/** The metrics of what waits for its turn: connections before they are sessions, and writes. */
import type { ListenerStats } from "../../transport/transport.ts";
import type { WriteQueueCounts } from "../serving/fair_writes.ts";
import { counter, type Family, gauge, single } from "./metric_families.ts";

/** The counts of a node's listeners from which these metrics are made. */
export type ConnectionCounts = Pick<
  ListenerStats,
  "refused" | "waiting" | "begun" | "waitedMs" | "overdue"
>;

/** Returns the metrics of connections. */
export function connectionFamilies(counts: () => ConnectionCounts): readonly Family[] {
  return [
    counter(
      "crs_connections_refused_total",
      "Connections refused by a limit or by the rate of their address.",
      () => single(counts().refused),
    ),
    gauge(
      "crs_connections_waiting",
      "Connections that wait for the turn of their handshake.",
      () => single(counts().waiting),
    ),
    counter(
      "crs_connections_begun_total",
      "Connections whose turn came, so that their handshake began.",
      () => single(counts().begun),
    ),
    counter(
      "crs_connections_waited_seconds_total",
      "Time for which these connections had waited.",
      () => single(counts().waitedMs / 1_000),
    ),
    counter(
      "crs_connections_overdue_total",
      "Connections refused because they waited too long for their turn, or too many did; " +
        "crs_connections_refused_total counts them too.",
      () => single(counts().overdue),
    ),
  ];
}

/** Returns the metrics of the writes that wait. */
export function writeQueueFamilies(counts: () => WriteQueueCounts): readonly Family[] {
  return [
    gauge(
      "crs_writes_waiting",
      "Streams whose writes wait until others are done, because many arrived together.",
      () => single(counts().waiting),
    ),
    counter(
      "crs_writes_waited_total",
      "Times that writes of a stream have waited for others.",
      () => single(counts().waited),
    ),
    counter(
      "crs_writes_waited_seconds_total",
      "Time until the first of these writes was served.",
      () => single(counts().waitedMs / 1_000),
    ),
  ];
}
