/** Frames of requests that a stream has received and does not serve yet, in order. */
export class DeferredFrames {
  #frames: Uint8Array[] = [];
  #next = 0;

  /** Whether there is none. */
  get isEmpty(): boolean {
    return this.#next === this.#frames.length;
  }

  /** Adds a frame, which must not change any more. */
  push(frame: Uint8Array): void {
    this.#frames.push(frame);
  }

  /** Passes on at most `max` frames, until `serve` returns false: that one stays the next. */
  serve(max: number, serve: (frame: Uint8Array) => boolean): void {
    for (let count = 0; count < max && !this.isEmpty; count++) {
      if (!serve(this.#frames[this.#next]!)) return;
      this.#next++;
    }
    if (!this.isEmpty) return;
    this.#frames = [];
    this.#next = 0;
  }
}
