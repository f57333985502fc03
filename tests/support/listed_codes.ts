/**
 * Checks that replies carry only codes that their operation lists, for all tests that serve
 * requests. On a violation the test file fails, whatever its tests report, because its process ends
 * with an error.
 */
import { errorCodeFromWire } from "../../src/base/errors.ts";
import { ListedCodes } from "../../src/serving/listed_codes.ts";
import type { RequestObserver } from "../../src/serving/answered_requests.ts";
import { type OperationName, OPERATIONS } from "../../src/wire/operations/mod.ts";
import { mayAnswer } from "../../src/wire/operations/operation.ts";

/** Returns an observer for a node under test. */
export function listedCodes(observer: RequestObserver = { requestDone() {} }): RequestObserver {
  return new ListedCodes(
    observer,
    (operation, code) => failFile(`${operation} answered ${code}, which it does not list`),
  );
}

/** Checks the codes of the items of a reply. */
export function checkItemCodes(name: OperationName, body: unknown): void {
  const { items = [], failures = [] } = body as Readonly<Record<string, unknown>>;
  for (const list of [items, failures]) {
    if (!Array.isArray(list)) continue;
    for (const { code = 0 } of list) {
      if (code === 0 || mayAnswer(OPERATIONS[name], errorCodeFromWire(code))) continue;
      failFile(`An item of ${name} has ${errorCodeFromWire(code)}, which it does not list`);
    }
  }
}

/** Ends the test file with an error that no test can catch. */
export function failFile(message: string): void {
  queueMicrotask(() => {
    throw new Error(message);
  });
}
