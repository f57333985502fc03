/**
 * A list in progress. Its steps run in the turns given to lists, and its answer is written after
 * the last step. Records read so far are copied before the store may change.
 */
import type { RequestView } from "../../schemas/gen/wire.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { ListWork } from "./list_turns.ts";
import type { RequestStream } from "./request_stream.ts";

/** Permission that a list waits for; a RegistryError refuses the list. */
export interface ListBarrier {
  readBarrier(maxStalenessMs: number, timeoutMs: number): Promise<unknown>;
}

/**
 * Steps of a list. Each yields a barrier to wait for, or nothing; the answer follows the last step.
 */
export interface ListSteps {
  /** Takes one step. @throws RegistryError with the reason if the list is refused. */
  next(): { readonly done?: boolean; readonly value: ListBarrier | undefined | void };
  /** Copies the records read so far, so that they outlive this turn. */
  keep(): void;
  /** Appends the answer. */
  answer(): void;
}

/** Parameters of a {@link ListJob}. */
export interface ListJobOptions {
  readonly steps: ListSteps;
  readonly operationId: number;
  /** Request over bytes of its own. */
  readonly request: RequestView;
  readonly stream: RequestStream;
  readonly clock: MonotonicClock;
  readonly arrivedMs: number;
  readonly deadlineMs: number;
}

/** Work item of one list. */
export class ListJob implements ListWork {
  readonly #options: ListJobOptions;
  #refusal: RegistryError | undefined;
  #answerBytes = 0;

  constructor(options: ListJobOptions) {
    this.#options = options;
    options.stream.listBegun();
  }

  get hasRoom(): boolean {
    const { stream } = this.#options;
    return stream.hasRoom || stream.isOver;
  }

  get answerBytes(): number {
    return this.#answerBytes;
  }

  room(): Promise<void> {
    return this.#options.stream.room();
  }

  work(untilMs: number): boolean | Promise<void> {
    const { steps, operationId, stream, clock, arrivedMs, deadlineMs } = this.#options;
    try {
      if (this.#refusal !== undefined) throw this.#refusal;
      if (stream.isOver) throw new RegistryError("connection_lost", "The stream has ended");
      for (;;) {
        const { done, value } = steps.next();
        if (done === true) {
          this.#answer();
          stream.listEnded();
          stream.answered(operationId, "ok", arrivedMs);
          return true;
        }
        const nowMs = clock.nowMs();
        if (nowMs >= deadlineMs) throw tooLate();
        if (value !== undefined) {
          steps.keep();
          return this.#permitted(value, deadlineMs - nowMs);
        }
        if (nowMs >= untilMs) {
          steps.keep();
          return false;
        }
      }
    } catch (error) {
      this.#refuse(toRegistryError(error));
      return true;
    }
  }

  #answer(): void {
    const { steps, stream: { writer } } = this.#options;
    const before = writer.length;
    steps.answer();
    this.#answerBytes = writer.length - before;
  }

  /** Waits for a group's permission to read. */
  async #permitted(group: ListBarrier, leftMs: number): Promise<void> {
    const permitted = await group.readBarrier(this.#options.request.maxStalenessMs, leftMs);
    if (permitted instanceof RegistryError) this.#refusal = permitted;
  }

  #refuse(error: RegistryError): void {
    const { operationId, request, stream, arrivedMs } = this.#options;
    stream.listEnded();
    stream.refuse(request.id, error, operationId, arrivedMs);
  }
}

function tooLate(): RegistryError {
  return new RegistryError("deadline_exceeded", "The deadline passed before the list was done");
}
