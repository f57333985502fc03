/** Reads the lines of a process's output one by one. */
export class LineReader {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Skips lines until one that begins with `start`. @throws Error as {@link next} does. */
  async nextWith(start: string): Promise<void> {
    while (!(await this.next()).startsWith(start));
  }

  /** Returns the next line. @throws Error if the output has ended. */
  async next(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      const { value } = await this.#reader.read();
      if (value === undefined) throw new Error("The process ended");
      this.#rest += value;
    }
  }
}
