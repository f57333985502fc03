/** The watch as an event stream: each change once, in order, continued by `Last-Event-ID`. */
import { z } from "zod";
import { WATCH_TOKEN_CHARACTERS_MAX } from "../../base/limits.ts";
import { watchEventJson } from "../../answers/watch_json.ts";
import type { Watch, WatchEvent, WatchFilter } from "../../client/mod.ts";
import { badRequest } from "../errors.ts";
import { EventStream, type SentEvent } from "../event_stream.ts";
import { type HttpRoute, route } from "../route.ts";
import { nameText, uuid } from "../schemas.ts";

/** Records that one watch may name, and labels. */
const IDS_MAX = 1_024;
const LABELS_MAX = 64;

const watchQuery = z.strictObject({
  kind: z.enum(["agent", "gateway"]).optional().describe("kind of record (default: both)"),
  region: nameText.optional().describe("only records of this region"),
  label: z.array(z.string().regex(/^[^=]+=/, "not key=value")).max(LABELS_MAX).optional().describe(
    "only records with this label, `key=value`; repeatable",
  ),
  id: z.array(uuid).max(IDS_MAX).optional().describe("only the record with this id; repeatable"),
  domain: nameText.optional().describe("follows this domain to its agent; alone"),
  state: z.boolean().optional().describe("whether the records that there are come first"),
  before: z.boolean().optional().describe("whether events have the record as it was before, too"),
  mirrors: z.boolean().optional().describe(
    "whether records of other regions count (default: true)",
  ),
  from: z.string().min(1).max(WATCH_TOKEN_CHARACTERS_MAX).optional().describe(
    "the id of an event, after which the watch continues; `Last-Event-ID` goes before it",
  ),
});

/** Returns the route of watches. */
export function watchRoute(): HttpRoute {
  return route({
    method: "GET",
    path: "/v1/watch",
    name: "watch",
    tag: "records",
    summary: "Streams each change of records once and in order, as server-sent events",
    requestHeaders: { "Last-Event-ID": "the id of an event, after which the watch continues" },
    query: watchQuery,
    isStream: true,
    answers: {
      200: {
        description:
          "events put, superseded, stale, recovered, deregistered, expired, domain_lost; `reset`: what is " +
          "known of a partition no longer counts, its state follows; `complete`: a partition's " +
          "state was sent; `error`: the stream ends. The data are those of `crs watch --json`",
        type: "text/event-stream",
      },
    },
    errors: ["StaleVersion"],
    handle: async ({ query }, { client, signal, header }) => {
      const from = header("last-event-id") ?? query.from;
      const watch = client.watch(filterOf(query), {
        ...(from === undefined || from === "" ? {} : { from }),
        ...(query.state === true && (from === undefined || from === "") ? { state: true } : {}),
        ...(query.before === true ? { before: true } : {}),
        ...(query.mirrors === false ? { mirrors: false } : {}),
      });
      const stop = () => watch.close();
      signal.addEventListener("abort", stop);
      try {
        await watch.begun;
      } catch (error) {
        watch.close();
        throw error;
      } finally {
        signal.removeEventListener("abort", stop);
      }
      return { body: streamOf(watch) };
    },
  });
}

function filterOf(query: z.output<typeof watchQuery>): WatchFilter {
  const { kind, region, label, id, domain } = query;
  const labels: Record<string, string> = Object.create(null);
  for (const text of label ?? []) {
    const at = text.indexOf("=");
    const key = text.slice(0, at);
    if (key in labels) throw badRequest(`label ${key} is given twice`, "Give each label once.");
    labels[key] = text.slice(at + 1);
  }
  return {
    ...(kind === undefined ? {} : { kind }),
    ...(region === undefined ? {} : { region }),
    ...(label === undefined ? {} : { labels }),
    ...(id === undefined ? {} : { ids: id }),
    ...(domain === undefined ? {} : { domain }),
  };
}

function streamOf(watch: Watch): EventStream {
  const events = watch[Symbol.asyncIterator]();
  return new EventStream({
    events: {
      next: async () => {
        const { done, value } = await events.next();
        return done === true
          ? { done, value: undefined }
          : { done: false, value: sentEvent(value) };
      },
    },
    id: () => watch.token,
    close: () => watch.close(),
  });
}

/** Returns what is sent of an event; of progress nothing, as heartbeats have its token. */
function sentEvent(event: WatchEvent): SentEvent | undefined {
  if (event.type === "progress") return undefined;
  const data = watchEventJson(event);
  // The end of a partition's state repeats the token of its last record.
  return event.type === "complete"
    ? { event: event.type, data }
    : { event: event.type, data, id: event.token };
}
