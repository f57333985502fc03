/** Programs of tests/interop/go that keep calling while servers are killed. */
import * as assert from "uvu/assert";
import { until } from "./until.ts";

/** A program that runs its check `steady`. */
export class SteadyClient {
  output = "";
  readonly #ended: Promise<boolean>;

  /** @param program its path. @param port of the front. */
  constructor(program: string, port: number, seconds: number) {
    const child = new Deno.Command(program, {
      args: [`127.0.0.1:${port}`, "-seconds", String(seconds), "steady"],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const read = (async () => {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        this.output += text;
      }
    })();
    this.#ended = Promise.all([child.status, read]).then(([{ success }]) => success);
  }

  /** Waits until what it keeps alive is registered. */
  async registered(): Promise<void> {
    await until("the fleet is registered", () => this.output.includes("registered"), 20_000);
  }

  /** Waits for its end, and fails if it lost something. */
  async held(): Promise<void> {
    assert.ok(await this.ended(), this.output);
  }

  /** Waits for its end; returns whether nothing was lost. */
  ended(): Promise<boolean> {
    return this.#ended;
  }
}
