/**
 * Replies with a code that their operation does not list are reported, and counted like any other.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ErrorCode } from "../../../src/base/errors.ts";
import { ListedCodes } from "../../../src/serving/listed_codes.ts";
import { OPERATION_IDS_END, OPERATIONS } from "../../../src/wire/operations/mod.ts";

function checked() {
  const done: string[] = [];
  const reported: string[] = [];
  const codes = new ListedCodes(
    { requestDone: (id, code, ms) => void done.push(`${id} ${code} ${ms}`) },
    (operation, code) => void reported.push(`${operation} ${code}`),
  );
  const answer = (id: number, code: "ok" | ErrorCode) => codes.requestDone(id, code, 1);
  return { answer, done, reported };
}

test("ListedCodes reports an unlisted code once for each operation, and passes all requests on", () => {
  const { answer, done, reported } = checked();
  const { status, getAgent } = OPERATIONS;
  answer(status.id, "domain_taken");
  answer(status.id, "domain_taken");
  answer(getAgent.id, "domain_taken");
  assert.equal(reported, ["status domain_taken", "getAgent domain_taken"]);
  assert.equal(done, ["15 domain_taken 1", "15 domain_taken 1", "1 domain_taken 1"]);
});

test("ListedCodes reports no success, no listed code and no code that every operation has", () => {
  const { answer, reported } = checked();
  answer(OPERATIONS.getAgent.id, "ok");
  answer(OPERATIONS.getAgent.id, "not_found");
  answer(OPERATIONS.getAgent.id, "overloaded");
  assert.equal(reported, []);
});

test("ListedCodes: an unknown operation is answered as one, or with what every operation has", () => {
  const { answer, reported } = checked();
  for (const id of [0, OPERATION_IDS_END, 0xffff]) answer(id, "unknown_operation");
  answer(0, "malformed");
  assert.equal(reported, []);
  answer(0xffff, "not_found");
  answer(OPERATIONS.status.id, "unknown_operation");
  assert.equal(reported, ["unknown not_found", "status unknown_operation"]);
});

test.run();
