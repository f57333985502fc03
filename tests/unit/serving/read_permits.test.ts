/** A read whose leader has no lease is served after it was granted permission. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { LogIndex, Term } from "../../../src/base/ids.ts";
import type { Group } from "../../../src/replication/group_interface.ts";
import { pointOf } from "../../../src/serving/read_answer.ts";

const POINT = { appliedIndex: 7 as LogIndex, term: 2 as Term, ageBoundMs: 0 };
const LATER = { ...POINT, appliedIndex: 9 as LogIndex };

test("pointOf prefers the present permission, then the one that was waited for", () => {
  const group = { readPoint: () => undefined } as unknown as Group<unknown>;
  assert.is(pointOf(group, 0, undefined), undefined);
  assert.is(pointOf(group, 0, new Map([[group, POINT]])), POINT);
  const leased = { readPoint: () => LATER } as unknown as Group<unknown>;
  assert.is(pointOf(leased, 0, new Map([[leased, POINT]])), LATER);
});

test.run();
