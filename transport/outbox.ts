/**
 * What is written to a stream: frames gather in one buffer while one write is under way, and leave
 * in the next. A wakeup of the transport costs far more than a frame, so the number of writes
 * follows the peer's pace, not the number of frames.
 *
 * Two buffers take turns: the stream owns the one that it writes, frames go to the other. The first
 * failure ends the outbox: what gathers after it is dropped, and the owner is told once.
 */
import { FrameWriter } from "../schemas/runtime/writer.ts";
import { toRegistryError } from "../src/base/errors.ts";
import type { RegistryError } from "../src/base/errors.ts";

/** Where an outbox writes. The bytes are the stream's until the promise settles. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

/** A buffer larger than this is given back after its write, so that a burst does not stay. */
const BUFFER_BYTES_KEPT = 64 * 1024;

/** A buffer that stays with an idle stream. */
const BUFFER_BYTES_IDLE = 1_024;

/** Gathers frames and writes them, one write at a time. */
export class Outbox {
  readonly #sink: ByteSink;
  readonly #bytesMax: number;
  readonly #onFailure: (error: RegistryError) => void;
  readonly #onTaken: (() => void) | undefined;
  readonly #writeBytesMax: number;
  #gathering: FrameWriter;
  #spare: FrameWriter | undefined;
  #writing = false;
  /** Of the buffer that is being written, what is not taken yet. */
  #leavingBytes = 0;
  #writes = 0;
  #failure: RegistryError | undefined;
  #wakeups: (() => void)[] = [];

  /**
   * @param bytesMax what may gather; a frame beyond it is refused with `too_large`, so the owner
   *   keeps well below it by waiting for {@link drained}.
   * @param onFailure called once, when a write fails.
   * @param onTaken called after each write that the sink took; must not throw.
   * @param writeBytesMax the most that goes with one write. Default: all that gathered.
   */
  constructor(
    sink: ByteSink,
    options: {
      bytesMax: number;
      onFailure: (error: RegistryError) => void;
      onTaken?: () => void;
      writeBytesMax?: number;
    },
  ) {
    this.#sink = sink;
    this.#bytesMax = options.bytesMax;
    this.#onFailure = options.onFailure;
    this.#onTaken = options.onTaken;
    this.#writeBytesMax = options.writeBytesMax ?? Infinity;
    this.#gathering = this.#newWriter();
  }

  /** Where to append whole frames, in this turn; call {@link flush} after. */
  get writer(): FrameWriter {
    return this.#gathering;
  }

  /** Bytes that wait for the write under way to end. */
  get gatheredBytes(): number {
    return this.#gathering.length;
  }

  /** Bytes that the sink has not taken: gathered, and of the write under way. */
  get pendingBytes(): number {
    return this.#gathering.length + this.#leavingBytes;
  }

  /** Writes that the sink took so far. */
  get writes(): number {
    return this.#writes;
  }

  /** Gives back buffers that a burst left; called where nothing is pending. */
  trim(): void {
    this.#spare = undefined;
    if (this.#gathering.length === 0 && this.#gathering.bytes.length > BUFFER_BYTES_IDLE) {
      this.#gathering = this.#newWriter();
    }
  }

  /** Begins a write of what has gathered, unless one is under way: then it follows that one. */
  flush(): void {
    if (this.#failure !== undefined) {
      this.#gathering.reset();
      return;
    }
    if (this.#writing || this.#gathering.length === 0) return;
    this.#writing = true;
    const leaving = this.#gathering;
    this.#gathering = this.#spare ?? this.#newWriter();
    this.#spare = undefined;
    this.#leavingBytes = leaving.length;
    this.#write(leaving, leaving.written);
  }

  /** Resolves when at most `bytes` wait, or the outbox has failed. */
  async drained(bytes: number): Promise<void> {
    while (this.#failure === undefined && this.#gathering.length > bytes) {
      await new Promise<void>((resolve) => this.#wakeups.push(resolve));
    }
  }

  /** Resolves when nothing waits and no write is under way, or the outbox has failed. */
  async idle(): Promise<void> {
    while (this.#failure === undefined && (this.#writing || this.#gathering.length > 0)) {
      await new Promise<void>((resolve) => this.#wakeups.push(resolve));
    }
  }

  /** Writes `bytes`, which are the rest of `leaving`. */
  #write(leaving: FrameWriter, bytes: Uint8Array): void {
    const count = Math.min(bytes.length, this.#writeBytesMax);
    const isLast = count === bytes.length;
    this.#sink.write(isLast ? bytes : bytes.subarray(0, count)).then(
      () => {
        if (this.#failure !== undefined) return;
        this.#writes++;
        this.#leavingBytes -= count;
        if (isLast) this.#written(leaving);
        else this.#write(leaving, bytes.subarray(count));
        this.#onTaken?.();
      },
      (cause) => this.#fail(toRegistryError(cause)),
    );
  }

  #written(left: FrameWriter): void {
    this.#writing = false;
    if (left.bytes.length <= BUFFER_BYTES_KEPT) {
      left.reset();
      this.#spare = left;
    }
    this.flush();
    this.#wake();
  }

  #fail(error: RegistryError): void {
    this.#writing = false;
    this.#failure = error;
    this.#gathering.reset();
    this.#leavingBytes = 0;
    this.#wake();
    this.#onFailure(error);
  }

  #wake(): void {
    const wakeups = this.#wakeups;
    if (wakeups.length === 0) return;
    this.#wakeups = [];
    for (const wake of wakeups) wake();
  }

  #newWriter(): FrameWriter {
    return new FrameWriter({ bytesMax: this.#bytesMax, bytesInitial: 512 });
  }
}
