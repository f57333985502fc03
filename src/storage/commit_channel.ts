/**
 * The shared memory between the main thread and the commit thread: one request and its reply.
 *
 * Each side waits for the other's counter: the main thread fills in the request and increments
 * `REQUEST`; the commit thread performs it, fills in the reply and increments `REPLY`. In between,
 * the memory belongs to the commit thread.
 */
import { COMMIT_STEPS, type CommitStep } from "./commit.ts";

/** The paths of a commit's files. */
export interface CommitPaths {
  readonly log: string;
  readonly mark: string;
}

/** A commit. */
export interface CommitRequest {
  /** The files, which must be opened; `undefined` if they are those of the request before. */
  readonly paths: CommitPaths | undefined;
  readonly position: number;
  readonly bytes: Uint8Array;
  readonly markPosition: number;
  readonly markBytes: Uint8Array;
}

/** A failed step, with the system's error. */
export interface CommitError {
  readonly step: CommitStep;
  readonly code: string;
  readonly message: string;
}

const FIELD = {
  request: 0,
  reply: 1,
  ended: 2,
  /** 0 if the paths are those of the request before. */
  pathsBytes: 3,
  bytes: 4,
  markBytes: 5,
  /** 0 for success, otherwise 1 + the index of the failed step. */
  failedStep: 6,
  errorBytes: 7,
} as const;
type Field = keyof typeof FIELD;

/** Byte offset of the positions in both files, float64. */
const POSITIONS_OFFSET = 64;
const DATA_OFFSET = 128;

/** Largest request, bytes; larger batches are rare, and their cost is not that of a thread. */
const DATA_BYTES = 256 * 1024;
/** Largest part of an error's message that is passed on, characters. */
const MESSAGE_LENGTH_MAX = 1_000;

const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One side's view of the shared memory. */
export class CommitChannel {
  readonly memory: SharedArrayBuffer;
  readonly #fields: Int32Array<SharedArrayBuffer>;
  readonly #positions: Float64Array<SharedArrayBuffer>;
  readonly #data: Uint8Array<SharedArrayBuffer>;
  /** Value of the request counter at the last request taken. */
  #lastRequest = 0;
  #copy: Uint8Array | undefined;

  constructor(memory = new SharedArrayBuffer(DATA_OFFSET + DATA_BYTES)) {
    this.memory = memory;
    this.#fields = new Int32Array(memory, 0, POSITIONS_OFFSET / 4);
    this.#positions = new Float64Array(memory, POSITIONS_OFFSET, 2);
    this.#data = new Uint8Array(memory, DATA_OFFSET);
  }

  // The main thread's side.

  /** Fills in a request. Returns false if it is too large, and then changes nothing. */
  put(request: CommitRequest): boolean {
    const { paths, position, bytes, markPosition, markBytes } = request;
    const pathsBytes = paths === undefined ? NO_BYTES : encoder.encode(JSON.stringify(paths));
    if (pathsBytes.length + bytes.length + markBytes.length > DATA_BYTES) return false;
    this.#positions[0] = position;
    this.#positions[1] = markPosition;
    let at = this.#place("pathsBytes", pathsBytes, 0);
    at = this.#place("bytes", bytes, at);
    this.#place("markBytes", markBytes, at);
    return true;
  }

  /** Hands the request over. Resolves when the reply is there. */
  send(): Promise<unknown> {
    const replied = Atomics.waitAsync(
      this.#fields,
      FIELD.reply,
      Atomics.load(this.#fields, FIELD.reply),
    );
    this.#advance("request");
    return Promise.resolve(replied.value);
  }

  /** Returns the reply's error; `undefined` if the commit succeeded. */
  takeError(): CommitError | undefined {
    const failed = this.#get("failedStep");
    if (failed === 0) return undefined;
    const text = decoder.decode(this.#data.slice(0, this.#get("errorBytes")));
    const [code = "", message = ""] = JSON.parse(text) as string[];
    return { step: COMMIT_STEPS[failed - 1]!, code, message };
  }

  /** Tells the commit thread to end. */
  end(): void {
    this.#set("ended", 1);
    this.#advance("request");
  }

  // The commit thread's side.

  /** Blocks until the next request is there. Returns false if none follows any more. */
  await(): boolean {
    // Compared for equality only, so that the counter may wrap around.
    while (Atomics.load(this.#fields, FIELD.request) === this.#lastRequest) {
      Atomics.wait(this.#fields, FIELD.request, this.#lastRequest);
    }
    this.#lastRequest = Atomics.load(this.#fields, FIELD.request);
    return this.#get("ended") === 0;
  }

  /** Returns the request, whose bytes are valid until the reply. */
  take(): CommitRequest {
    const pathsEnd = this.#get("pathsBytes");
    const bytesEnd = pathsEnd + this.#get("bytes");
    const markEnd = bytesEnd + this.#get("markBytes");
    // System calls do not take shared memory.
    const copy = this.#copy ??= new Uint8Array(DATA_BYTES);
    copy.set(this.#data.subarray(0, markEnd));
    const paths = decoder.decode(copy.subarray(0, pathsEnd));
    return {
      paths: paths === "" ? undefined : JSON.parse(paths) as CommitPaths,
      position: this.#positions[0]!,
      bytes: copy.subarray(pathsEnd, bytesEnd),
      markPosition: this.#positions[1]!,
      markBytes: copy.subarray(bytesEnd, markEnd),
    };
  }

  /** Fills in the reply and hands it over. */
  reply(error: CommitError | undefined): void {
    this.#set("failedStep", error === undefined ? 0 : 1 + COMMIT_STEPS.indexOf(error.step));
    if (error !== undefined) {
      const text = JSON.stringify([error.code, error.message.slice(0, MESSAGE_LENGTH_MAX)]);
      this.#place("errorBytes", encoder.encode(text), 0);
    }
    this.#advance("reply");
  }

  #place(length: Field, bytes: Uint8Array, at: number): number {
    this.#set(length, bytes.length);
    this.#data.set(bytes, at);
    return at + bytes.length;
  }

  #get(field: Field): number {
    return this.#fields[FIELD[field]]!;
  }

  #set(field: Field, value: number): void {
    this.#fields[FIELD[field]] = value;
  }

  /** Atomic, so that the other side sees all that was filled in before. */
  #advance(counter: "request" | "reply"): void {
    Atomics.add(this.#fields, FIELD[counter], 1);
    Atomics.notify(this.#fields, FIELD[counter]);
  }
}
