/**
 * One list on its way: its steps are taken in the turns that lists get, and its answer is written when
 * the last of them is done. What was read so far is copied before anything else may change the store.
 */
import type { RequestView } from "../../schemas/gen/wire.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { ListWork } from "./list_turns.ts";
import type { ReadBarrier } from "./read_path.ts";
import type { RequestStream } from "./request_stream.ts";

/** The steps of a list: each yields what has to be waited for, or nothing; the last is the answer. */
export interface ListSteps {
  /** @throws RegistryError why the list is refused. */
  next(): { readonly done?: boolean; readonly value: ReadBarrier | undefined | void };
  /** Copies what was read, so that it outlives this turn. */
  keep(): void;
  /** Appends the answer. */
  answer(): void;
}

/** What a job is made of. */
export interface ListJobOptions {
  readonly steps: ListSteps;
  readonly operationId: number;
  /** Over bytes of its own. */
  readonly request: RequestView;
  readonly stream: RequestStream;
  readonly clock: MonotonicClock;
  readonly arrivedMs: number;
  readonly deadlineMs: number;
}

/** A list under way. */
export class ListJob implements ListWork {
  readonly #options: ListJobOptions;
  #refusal: RegistryError | undefined;

  constructor(options: ListJobOptions) {
    this.#options = options;
    options.stream.listBegun();
  }

  get hasRoom(): boolean {
    const { stream } = this.#options;
    return stream.hasRoom || stream.isOver;
  }

  room(): Promise<void> {
    return this.#options.stream.room();
  }

  work(untilMs: number): boolean | Promise<void> {
    const { steps, operationId, stream, clock, arrivedMs, deadlineMs } = this.#options;
    try {
      if (this.#refusal !== undefined) throw this.#refusal;
      if (stream.isOver) throw new RegistryError("connection_lost", "The stream is over");
      for (;;) {
        const { done, value } = steps.next();
        if (done === true) {
          steps.answer();
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

  /** Waits for a group's permission to read. */
  async #permitted(group: ReadBarrier, leftMs: number): Promise<void> {
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
  return new RegistryError("deadline_exceeded", "The list's time was up before it was complete");
}
