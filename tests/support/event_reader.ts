/** Reads server-sent events as a browser's `EventSource` does: fields, blank lines, comments. */

/** An event, or a comment, or an id alone. */
export interface ReadEvent {
  readonly event: string | undefined;
  readonly data: string | undefined;
  readonly id: string | undefined;
  readonly comments: readonly string[];
}

/** A reader of one stream. */
export class EventReader {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
      .getReader();
  }

  /** Returns the next block; undefined at the end. */
  async next(): Promise<ReadEvent | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end !== -1) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        return blockOf(block);
      }
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += value;
    }
  }

  /** Returns the next block that is an event. */
  async event(): Promise<ReadEvent> {
    for (;;) {
      const block = await this.next();
      if (block === undefined) throw new Error("The stream has ended");
      if (block.event !== undefined) return block;
    }
  }

  /** Leaves the stream. */
  async leave(): Promise<void> {
    await this.#reader.cancel();
  }
}

function blockOf(text: string): ReadEvent {
  const fields = new Map<string, string>();
  const comments: string[] = [];
  for (const line of text.split("\n")) {
    const at = line.indexOf(":");
    if (at === 0) comments.push(line.slice(1).trim());
    else fields.set(line.slice(0, at), line.slice(at + 1).replace(/^ /, ""));
  }
  return {
    event: fields.get("event"),
    data: fields.get("data"),
    id: fields.get("id"),
    comments,
  };
}
