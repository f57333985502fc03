/** Handlers and their operations: mismatches do not compile. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Handlers } from "../../../src/serving/handler.ts";
import { routesOf } from "../../../src/serving/handler.ts";
import { OPERATIONS } from "../../../src/wire/operations/mod.ts";

const { getTokenKeys, getLineage } = OPERATIONS;
const TABLE = { getTokenKeys, getLineage };

const text = () => ({ text: "keys" });
const lineage = ({ lineage }: { lineage: number }) => ({
  subject: `${lineage}`,
  generation: 1,
  notAfterMs: 2,
  stopped: "",
});

/** Compiles only for complete tables. */
function table(handlers: Handlers<typeof TABLE>): string[] {
  return Object.keys(handlers);
}

test("Handlers takes one handler of each operation, with its types of request and reply", () => {
  assert.equal(table({ getTokenKeys: text, getLineage: lineage }), ["getTokenKeys", "getLineage"]);
  // @ts-expect-error The handler of getLineage is missing.
  table({ getTokenKeys: text });
  // @ts-expect-error There is no operation getLineages.
  table({ getTokenKeys: text, getLineage: lineage, getLineages: lineage });
  // @ts-expect-error Two handlers of one operation.
  // deno-lint-ignore no-dupe-keys -- that is the case.
  table({ getTokenKeys: text, getLineage: lineage, getLineage: lineage });
  // @ts-expect-error Its reply has no field "txt".
  table({ getTokenKeys: () => ({ txt: "keys" }), getLineage: lineage });
  // @ts-expect-error Its reply is of another operation.
  table({ getTokenKeys: text, getLineage: text });
  // @ts-expect-error Its request has no field "domain".
  table({ getTokenKeys: text, getLineage: ({ domain }) => lineage({ lineage: domain }) });
});

test("routesOf finds each handler by the id of its operation", () => {
  const routes = routesOf(TABLE, { getTokenKeys: text, getLineage: lineage });
  assert.is(routes[getTokenKeys.id]?.operation, getTokenKeys);
  assert.is(routes[getTokenKeys.id]?.reply, text);
  assert.is(routes[getLineage.id]?.reply, lineage);
  assert.is(routes[getLineage.id]?.inPlace, undefined);
  assert.is(routes[1], undefined);
});

test.run();
