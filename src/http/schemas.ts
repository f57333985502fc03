/**
 * Schemas that several routes share. Those of requests refuse unknown members; those of answers allow
 * them, because answers may grow.
 */
import { z } from "zod";
import { LIST_ITEMS_MAX } from "../base/limits.ts";

/** Longest cursor of a list, in hexadecimal digits. */
const CURSOR_DIGITS_MAX = 8_192;
/** Longest name of a region or domain that is read from a query. */
const NAME_LENGTH_MAX = 255;

/** A UUID, in either case. */
export const uuid = z.string()
  .regex(
    /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/,
    "not a UUID",
  );

/** A name in a query. */
export const nameText = z.string().min(1).max(NAME_LENGTH_MAX);

/** The id in a path. */
export const idParams = z.strictObject({ id: uuid.describe("id of the record") });

/** The age that an answer may have. */
export const maxStaleness = z.int().min(0).max(60_000).optional().describe(
  "maximum age of the answer in ms; 0 for a linearizable one (default)",
);

/** The query of a read of one record. */
export const readQuery = z.strictObject({
  max_staleness_ms: maxStaleness,
  region: nameText.optional().describe(
    "the own record if it names this region, or the mirror of another one",
  ),
});

/** The query of a list. */
export const listQuery = z.strictObject({
  region: nameText.optional().describe("region (default: that of the node)"),
  limit: z.int().min(1).max(LIST_ITEMS_MAX).optional().describe("records on a page (default: 100)"),
  cursor: z.string().regex(/^([0-9a-f]{2})+$/, "not a cursor").max(CURSOR_DIGITS_MAX).optional()
    .describe("`nextCursor` of the page before"),
  max_staleness_ms: maxStaleness,
});

/** A position in a partition's log. */
export const position = z.looseObject({ generation: z.int(), index: z.int() }).meta({
  id: "Position",
});

/** The source and the age of an answer. */
export const receipt = z.looseObject({
  node: z.int(),
  partition: z.int(),
  term: z.int(),
  appliedIndex: z.int(),
  ageBoundMs: z.number().describe("upper bound on the age, ms; 0 for linearizable"),
}).meta({ id: "Receipt" });

/** All receipts of an answer. */
export const receipts = z.array(receipt);

/** The origin of a record of another region. */
export const source = z.looseObject({
  home: z.string(),
  revision: position,
  ageMs: z.number().nullable(),
  suspended: z.boolean(),
}).nullable().describe("the origin of a record of another region");

/** The envelope of every error. */
export const errorSchema = z.looseObject({
  error: z.looseObject({
    code: z.string(),
    message: z.string(),
    hint: z.string(),
    retryable: z.boolean(),
    ts: z.string(),
    request_id: z.string(),
    reason: z.string().optional().describe("the registry's own code"),
  }),
}).meta({ id: "Error" });
