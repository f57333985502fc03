/** Operations that are answered by many replies: watches of records, with or without their state. */
import {
  askProgressRequestCodec,
  cancelWatchRequestCodec,
  emptyCodec,
  watchReplyCodec,
  watchRequestCodec,
} from "../../../schemas/gen/wire.ts";
import type { ErrorCode } from "../../base/errors.ts";
import { ALL_KINDS, named, operation } from "./operation.ts";

const WATCH_CODES: readonly ErrorCode[] = ["history_lost", "not_caught_up"];
const RECORDS = { kinds: ALL_KINDS, several: true };

/** Watches of records. Any replica of a partition serves them. */
export const WATCH_OPERATIONS = named({
  watch: operation({
    id: 60,
    kind: "read",
    repeatable: false,
    access: "read",
    request: watchRequestCodec,
    reply: watchReplyCodec,
    cost: 10,
    codes: WATCH_CODES,
    records: RECORDS,
  }),
  listAndWatch: operation({
    id: 61,
    kind: "read",
    repeatable: false,
    access: "read",
    request: watchRequestCodec,
    reply: watchReplyCodec,
    cost: 200,
    codes: WATCH_CODES,
    records: RECORDS,
  }),
  cancelWatch: operation({
    id: 62,
    kind: "read",
    repeatable: true,
    access: "watching",
    request: cancelWatchRequestCodec,
    reply: emptyCodec,
    cost: 1,
    codes: [],
  }),
  askProgress: operation({
    id: 63,
    kind: "read",
    repeatable: true,
    access: "watching",
    request: askProgressRequestCodec,
    reply: emptyCodec,
    cost: 1,
    codes: ["not_found"],
  }),
});
