/** The requests that were answered in one chunk, whose replies are sent together. */
import type { ErrorCode } from "../base/errors.ts";

/** Observer of completed requests, such as the metrics. */
export interface RequestObserver {
  /** `code`: `ok` or an error code; `durationMs`: from the arrival of the chunk to the answer. */
  requestDone(operationId: number, code: "ok" | ErrorCode, durationMs: number): void;
}

/** One for a node, as its chunks are served one after the other, each in one synchronous run. */
export class AnsweredRequests {
  readonly #operations: number[] = [];
  readonly #codes: ("ok" | ErrorCode)[] = [];

  /** Adds a request of the chunk being served. */
  add(operationId: number, code: "ok" | ErrorCode): void {
    this.#operations.push(operationId);
    this.#codes.push(code);
  }

  /** Reports all of them to `observer`, with the same duration, and forgets them. */
  observe(observer: RequestObserver, durationMs: number): void {
    const operations = this.#operations;
    for (let index = 0; index < operations.length; index++) {
      observer.requestDone(operations[index]!, this.#codes[index]!, durationMs);
    }
    operations.length = this.#codes.length = 0;
  }
}
