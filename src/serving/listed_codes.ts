/**
 * Observer that reports replies with a code that their operation does not list. Such a reply is sent
 * as it is: the code is true, and only the description of the operation lacks it.
 */
import type { ErrorCode } from "../base/errors.ts";
import { operationOfId } from "../wire/operations/mod.ts";
import { COMMON_CODES, mayAnswer } from "../wire/operations/operation.ts";
import type { RequestObserver } from "./answered_requests.ts";

/** Log message of a node about an unlisted code. */
export const UNLISTED_CODE = "A reply has a code that its operation does not list";

/** Reports an unlisted code. `operation`: its name, or `unknown`. */
export type UnlistedCode = (operation: string, code: ErrorCode) => void;

/** Passes completed requests on, and reports each unlisted code of an operation once. */
export class ListedCodes implements RequestObserver {
  readonly #observer: RequestObserver;
  readonly #report: UnlistedCode;
  /** Both parts are closed sets, so this is bounded. */
  readonly #reported = new Set<string>();

  constructor(observer: RequestObserver, report: UnlistedCode) {
    this.#observer = observer;
    this.#report = report;
  }

  requestDone(operationId: number, code: "ok" | ErrorCode, durationMs: number): void {
    this.#observer.requestDone(operationId, code, durationMs);
    if (code !== "ok") this.#check(operationId, code);
  }

  #check(operationId: number, code: ErrorCode): void {
    const operation = operationOfId(operationId);
    const isListed = operation === undefined
      ? code === "unknown_operation" || COMMON_CODES.includes(code)
      : mayAnswer(operation, code);
    if (isListed) return;
    const name = operation?.name ?? "unknown";
    const key = `${name} ${code}`;
    if (this.#reported.has(key)) return;
    this.#reported.add(key);
    this.#report(name, code);
  }
}
