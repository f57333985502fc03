/** Routes of supervisors: whether the process answers, whether it serves, and its metrics. */
import { z } from "zod";
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import type { HttpMetrics } from "../metrics.ts";
import type { NodeCondition } from "../../faces/node_condition.ts";
import { type HttpRoute, route } from "../route.ts";

/** Whether one kind of request is served, and why not. */
interface Readiness {
  readonly ready: boolean;
  /** One word; empty if it is ready. */
  readonly reason: string;
  /** For people; empty if it is ready. */
  readonly message: string;
}

const READY: Readiness = { ready: true, reason: "", message: "" };

const readiness = z.looseObject({ ready: z.boolean(), reason: z.string(), message: z.string() })
  .meta({ id: "Readiness" });
const readinessSchema = z.looseObject({
  status: z.enum(["ready", "degraded", "not_ready"]),
  reads: readiness,
  writes: readiness,
});

/** Returns these routes. @param prefix of their paths; empty for the root. */
export function healthRoutes(
  prefix: "" | "/v1/registry",
  node: NodeCondition,
  metrics: HttpMetrics,
): readonly HttpRoute[] {
  const suffix = prefix === "" ? "" : "_of_registry";
  const tag = "health";
  return [
    route({
      method: "GET",
      path: `${prefix}/healthz`,
      name: `get_health${suffix}`,
      tag,
      summary: "Reports that the front answers",
      answers: { 200: { description: "it does", schema: z.looseObject({ status: z.string() }) } },
      handle: () => Promise.resolve({ body: { status: "ok" } }),
    }),
    route({
      method: "GET",
      path: `${prefix}/readyz`,
      name: `get_readiness${suffix}`,
      tag,
      summary: "Reports whether reads and writes are served",
      query: z.strictObject({
        for: z.enum(["reads", "writes"]).optional().describe(
          "what decides the status (default: reads, as writes may degrade while reads stay)",
        ),
      }),
      answers: {
        200: { description: "they are served", schema: readinessSchema },
        503: { description: "they are not", schema: readinessSchema },
      },
      handle: async ({ query }) => {
        const { reads, writes } = await readinessOf(node);
        const status = reads.ready ? (writes.ready ? "ready" : "degraded") : "not_ready";
        const { ready } = query.for === "writes" ? writes : reads;
        return { status: ready ? 200 : 503, body: { status, reads, writes } };
      },
    }),
    route({
      method: "GET",
      path: `${prefix}/metrics`,
      name: `get_metrics${suffix}`,
      tag,
      summary: "Shows the front's metrics in the Prometheus text format",
      answers: { 200: { description: "the metrics", type: "text/plain" } },
      handle: async () => {
        const { text, contentType } = await metrics.render();
        return { body: text, headers: { "content-type": contentType } };
      },
    }),
  ];
}

async function readinessOf(
  node: NodeCondition,
): Promise<{ readonly reads: Readiness; readonly writes: Readiness }> {
  if (!node.isConnected) {
    const error = new RegistryError("connection_lost", "The front has no connection to a node");
    return { reads: unready(error), writes: unready(error) };
  }
  try {
    const { ready, reason, leaderless } = await node.status();
    const writes = !ready ? { ready, reason, message: "The node is not ready" } : leaderless > 0
      ? {
        ready: false,
        reason: "leaderless",
        message: `${leaderless} partitions have no leader at this time`,
      }
      : READY;
    return { reads: READY, writes };
  } catch (error) {
    const failure = unready(toRegistryError(error));
    return { reads: failure, writes: failure };
  }
}

function unready({ code, message }: RegistryError): Readiness {
  return { ready: false, reason: code, message };
}
