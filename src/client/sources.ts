/** Origins of records of other regions, in requests and in answers. */
import type { RecordReplyView, RecordSourceView } from "../../schemas/gen/wire.ts";
import { MIRROR_FRESH_MS_MAX } from "../base/limits.ts";
import { SOURCE_AGE_UNKNOWN } from "../wire/record_source.ts";
import type { RecordSource } from "./answer_types.ts";
import type { CallOptions } from "./call_options.ts";

/** Returns the region that a read asks for, as requests carry it. */
export function askedHome(options: CallOptions | undefined): { readonly name: string } | undefined {
  const region = options?.region;
  return region === undefined ? undefined : { name: region };
}

/** Returns the origin of a record that is a mirror. */
export function sourceOf(view: RecordSourceView): RecordSource {
  return {
    home: view.home,
    revision: { generation: view.revisionGeneration, index: view.revisionIndex },
    ageMs: view.ageMs === SOURCE_AGE_UNKNOWN ? undefined : view.ageMs,
    suspended: view.isSuspended,
  };
}

/** Returns an answer with the origin of its record, if that is a mirror; otherwise as it is. */
export function withSource<T extends object>(
  answer: T,
  reply: RecordReplyView,
): T & { readonly source?: RecordSource } {
  return reply.hasSource ? { ...answer, source: sourceOf(reply.source) } : answer;
}

/** Returns the origin of a record that was answered some time ago. */
export function agedSource(
  { ageMs, suspended, ...source }: RecordSource,
  ms: number,
): RecordSource {
  if (ageMs === undefined) return { ...source, ageMs, suspended };
  const now = ageMs + Math.ceil(ms);
  return { ...source, ageMs: now, suspended: suspended || now > MIRROR_FRESH_MS_MAX };
}
