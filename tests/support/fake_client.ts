/**
 * A client in memory: records each call and returns the answer that the test set for it. Unexpected
 * calls fail.
 */
import type { OperationCaller } from "../../src/client/invoker.ts";
import type { Client } from "../../src/client/mod.ts";

/** A call with its arguments. */
export type Call = readonly [name: string, ...args: unknown[]];

/** A client for tests. */
export class FakeClient {
  readonly calls: Call[] = [];
  readonly client: Client & OperationCaller;

  /**
   * @param answers results by the name of the method, including `identities.…`, `governed.…`, `maps.…` and
   * `relays.…`; a function is called for its result.
   */
  constructor(answers: Readonly<Record<string, unknown>>) {
    const { calls } = this;
    const method = (name: string) => (...args: unknown[]) => {
      calls.push([name, ...args]);
      if (!(name in answers)) throw new Error(`The test foresees no call of ${name}`);
      const answer = answers[name];
      return typeof answer === "function" ? answer(...args) : Promise.resolve(answer);
    };
    const part = (of: string) =>
      new Proxy({}, { get: (_, name: string) => method(`${of}.${name}`) });
    const parts = new Map(
      ["identities", "governed", "maps", "relays"].map((name) => [name, part(name)]),
    );
    this.client = new Proxy({} as Client & OperationCaller, {
      get: (_, name: string) => {
        if (name === "status") return { endpoint: { host: "127.0.0.1", port: 4_443 } };
        // It is nobody's delegate, unless the test says so.
        if (name === "evidence") return answers[name];
        return parts.get(name) ?? method(name);
      },
    });
  }
}
