/**
 * Watches of records as streams. A stream reads its events one by one, as its caller takes them, so that a
 * slow caller delays nobody and needs no queue here; the SDK's queue is bounded and pauses the watch.
 */
import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type {
  WatchReceiptSchema,
  WatchRequestSchema,
  WatchResponseSchema,
} from "../../../schemas/proto/gen/crs/v1/watch_pb.ts";
import { ChangeType } from "../../../schemas/proto/gen/crs/v1/watch_pb.ts";
import { isOfRecord } from "../../answers/watch_json.ts";
import { REQUEST_TIMEOUT_MS_MAX, WATCH_TOKEN_CHARACTERS_MAX } from "../../base/limits.ts";
import type {
  RecordEvent,
  Watch,
  WatchEvent,
  WatchFilter,
  WatchOptions,
  WatchReceipt,
} from "../../client/mod.ts";
import type { CallContext } from "../service.ts";
import { positionMessage, recordMessage } from "./record_messages.ts";
import type { RegistryFunctions } from "./registry_functions.ts";
import { invalidField, nameOf, RECORD_KIND_NAMES } from "./request_fields.ts";

type Request = MessageShape<typeof WatchRequestSchema>;
type Response = MessageInitShape<typeof WatchResponseSchema>;

const CHANGE_TYPES: Readonly<Record<RecordEvent["type"], ChangeType>> = {
  put: ChangeType.PUT,
  superseded: ChangeType.SUPERSEDED,
  deregistered: ChangeType.DEREGISTERED,
  expired: ChangeType.EXPIRED,
  domain_lost: ChangeType.DOMAIN_LOST,
  stale: ChangeType.STALE,
  recovered: ChangeType.RECOVERED,
};

/** Returns the function. */
export function watchMethods(): Pick<RegistryFunctions, "watch"> {
  return {
    watch: async function* (request, context): AsyncGenerator<Response> {
      const watch = context.client.watch(filterOf(request), optionsOf(request, context));
      try {
        yield* responsesOf(watch, request.progressMs !== undefined);
      } finally {
        watch.close();
      }
    },
  };
}

/**
 * Returns the responses of a watch. Events of its state may come before it has begun in every partition, and
 * are passed on at once, as it cannot begin while too many of them wait.
 */
async function* responsesOf(watch: Watch, tellsProgress: boolean): AsyncGenerator<Response> {
  const events = watch[Symbol.asyncIterator]();
  let beginning: Promise<"begun"> | undefined = watch.begun.then(() => "begun");
  let next: Promise<IteratorResult<WatchEvent>> | undefined;
  let hasToken = false;
  for (;;) {
    next ??= events.next();
    const step = await (beginning === undefined ? next : Promise.race([beginning, next]));
    if (step === "begun") {
      beginning = undefined;
      yield { event: { case: "begun", value: {} } };
      continue;
    }
    next = undefined;
    if (step.done === true) return;
    const { type } = step.value;
    // The first one is told in any case, so that there is a token from which to continue.
    if (type === "progress" && hasToken && !tellsProgress) continue;
    // One end of the state for all partitions, of which there may be thousands.
    if (type === "complete" && step.value.isWhole !== true) continue;
    const response = responseOf(step.value);
    hasToken ||= response.resumeToken !== "";
    yield response;
  }
}

function filterOf({ kind, region, labels, ids, domain }: Request): WatchFilter {
  const name = nameOf(kind, RECORD_KIND_NAMES, "kind");
  return {
    ...(name === undefined ? {} : { kind: name }),
    ...(region === "" ? {} : { region }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(ids.length === 0 ? {} : { ids }),
    ...(domain === "" ? {} : { domain }),
  };
}

function optionsOf(request: Request, { signal, timeoutMs }: CallContext): WatchOptions {
  const { resumeToken, includeState, includeBefore, excludeMirrors, progressMs } = request;
  if (resumeToken.length > WATCH_TOKEN_CHARACTERS_MAX) {
    const found =
      `have at most ${WATCH_TOKEN_CHARACTERS_MAX} characters: found ${resumeToken.length}`;
    throw invalidField("resume_token", found);
  }
  const { maxStalenessMs } = request;
  return {
    ...(resumeToken === "" ? {} : { from: resumeToken }),
    ...(includeState ? { state: true } : {}),
    ...(includeBefore ? { before: true } : {}),
    ...(excludeMirrors ? { mirrors: false } : {}),
    ...(progressMs === undefined ? {} : { progressMs }),
    ...(maxStalenessMs === undefined ? {} : { maxStalenessMs }),
    // The time in which it must begin.
    ...(timeoutMs === undefined ? {} : { timeoutMs: Math.min(timeoutMs, REQUEST_TIMEOUT_MS_MAX) }),
    signal,
  };
}

function responseOf(event: WatchEvent): Response {
  const receipt = receiptMessage(event.receipt);
  if (isOfRecord(event)) {
    const value = changeOf(event);
    return { event: { case: "change", value }, receipt, resumeToken: event.token };
  }
  const { type, token } = event;
  return { event: { case: type, value: {} }, receipt, resumeToken: token };
}

function changeOf(event: RecordEvent) {
  const { type, kind, record, before, home, isState, hasLeft, remainingMs } = event;
  return {
    type: CHANGE_TYPES[type],
    record: recordMessage(kind, record),
    ...(before === undefined ? {} : { before: recordMessage(kind, before) }),
    homeRegion: home ?? "",
    isState,
    hasLeft,
    remainingMs,
  };
}

function receiptMessage(
  { node, partition, ageBoundMs, ...position }: WatchReceipt,
): MessageInitShape<typeof WatchReceiptSchema> {
  return {
    node: BigInt(node),
    partition,
    position: positionMessage(position),
    ...(ageBoundMs === undefined ? {} : { ageBoundMs: Math.ceil(ageBoundMs) }),
  };
}
