/** The route of the governed plane's events. */
import { z } from "zod";
import { EventStream } from "../event_stream.ts";
import type { GovernedEvents } from "../governed/governed_events.ts";
import type { GovernedSource } from "../../faces/governed_source.ts";
import { badRequest } from "../errors.ts";
import { type HttpRoute, route } from "../route.ts";
import { REGISTRY } from "./descriptors.ts";

/** Returns the route. */
export function governedEventsRoute(source: GovernedSource, events: GovernedEvents): HttpRoute {
  return route({
    method: "GET",
    path: `${REGISTRY}/events`,
    name: "follow_registry",
    tag: "governed",
    summary: "Streams each change of the governed plane, as server-sent events",
    requestHeaders: { "Last-Event-ID": "the global version after which the events begin" },
    query: z.strictObject({
      after: z.int().min(0).optional().describe(
        "the global version after which they begin (default: now); `Last-Event-ID` goes before it",
      ),
    }),
    isStream: true,
    answers: {
      200: {
        description:
          "`registry.update` with `type` ConfigUpdated, Published or Deprecated, its id " +
          "the global version; Proposed, without an id, for proposals at this front; `reset`: the " +
          "log does not have that version",
        type: "text/event-stream",
      },
    },
    handle: async ({ query }, { client, header }) => {
      const given = header("last-event-id");
      if (given !== null && given !== "" && !/^\d{1,15}$/.test(given)) {
        throw badRequest("Last-Event-ID must be the id of an event", "Omit it to begin now.");
      }
      const view = await source.view(client);
      const after = given === null || given === "" ? query.after ?? view.version : Number(given);
      return { body: new EventStream(events.after(after, source.permission(client))) };
    },
  });
}
