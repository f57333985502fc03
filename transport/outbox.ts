/**
 * An output buffer for a stream. Frames are gathered in one buffer while a write is in progress and
 * leave with the next write. Waking the transport costs far more than a frame, so the number of
 * writes follows the peer's pace rather than the number of frames.
 *
 * There are two buffers: the stream owns the one being written, and frames are appended to the
 * other. The first failure ends the outbox: later frames are dropped, and the owner is notified
 * once.
 */
import { FrameWriter } from "../schemas/runtime/writer.ts";
import { toRegistryError } from "../src/base/errors.ts";
import type { RegistryError } from "../src/base/errors.ts";

/** The destination of an outbox. It owns the bytes until the promise settles. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

/** A larger buffer is released after its write, so that a burst does not keep memory. */
const BUFFER_BYTES_KEPT = 64 * 1024;

/** A buffer that gathers frames and writes them, one write at a time. */
export class Outbox {
  readonly #sink: ByteSink;
  readonly #bytesMax: number;
  readonly #onFailure: (error: RegistryError) => void;
  readonly #onTaken: (() => void) | undefined;
  readonly #writeBytesMax: number;
  /** Absent while the stream is idle. */
  #gathering: FrameWriter | undefined;
  #spare: FrameWriter | undefined;
  #writing = false;
  /** Bytes of the write in progress that the sink has not taken. */
  #leavingBytes = 0;
  #writes = 0;
  #failure: RegistryError | undefined;
  #wakeups: (() => void)[] = [];

  /**
   * @param bytesMax maximum of gathered bytes. A frame beyond it is refused with `too_large`, so
   * the owner stays well below it by waiting for {@link drained}.
   * @param onFailure called once, when a write fails.
   * @param onTaken called after each write that the sink took; must not throw.
   * @param writeBytesMax maximum size of one write. Default: everything gathered.
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
  }

  /** The writer to which whole frames are appended in this turn; call {@link flush} afterwards. */
  get writer(): FrameWriter {
    return this.#gathering ??= this.#newWriter();
  }

  /** Bytes waiting for the write in progress to end. */
  get gatheredBytes(): number {
    return this.#gathering?.length ?? 0;
  }

  /** Bytes that the sink has not taken: those gathered and those of the write in progress. */
  get pendingBytes(): number {
    return this.gatheredBytes + this.#leavingBytes;
  }

  /** The number of writes that the sink has taken. */
  get writes(): number {
    return this.#writes;
  }

  /** Whether nothing is pending and no write has failed. */
  get isIdle(): boolean {
    return this.pendingBytes === 0 && !this.#writing && this.#failure === undefined;
  }

  /** Starts writing what was gathered. If a write is in progress, that happens when it ends. */
  flush(): void {
    const leaving = this.#gathering;
    if (leaving === undefined || leaving.length === 0) return;
    if (this.#failure !== undefined) {
      leaving.reset();
      return;
    }
    if (this.#writing) return;
    this.#writing = true;
    this.#gathering = this.#spare;
    this.#spare = undefined;
    this.#leavingBytes = leaving.length;
    this.#write(leaving, leaving.written);
  }

  /** Resolves when at most `bytes` are waiting, or the outbox has failed. */
  async drained(bytes: number): Promise<void> {
    while (this.#failure === undefined && this.gatheredBytes > bytes) {
      await new Promise<void>((resolve) => this.#wakeups.push(resolve));
    }
  }

  /** Resolves when nothing waits and no write is in progress, or the outbox has failed. */
  async idle(): Promise<void> {
    while (this.#failure === undefined && (this.#writing || this.gatheredBytes > 0)) {
      await new Promise<void>((resolve) => this.#wakeups.push(resolve));
    }
  }

  /** Writes `bytes`, the rest of `leaving`. */
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
    this.#gathering?.reset();
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
