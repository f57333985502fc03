/** Turns of requests: how many run, in which order, and what becomes of those that give up. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { RequestTurns } from "../../../../src/relay/leased/request_turns.ts";
import { codeOf } from "../../../support/refusal.ts";

/** Requests that end when the test says so. */
class Requests {
  readonly turns = new RequestTurns({ runningMax: 2, waitingMax: 3 });
  readonly running = new Map<string, () => void>();

  start(name: string, signal = new AbortController().signal): Promise<string> {
    return codeOf(
      this.turns.run(signal, () => new Promise<void>((end) => this.running.set(name, end))),
    );
  }

  async end(name: string): Promise<void> {
    this.running.get(name)!();
    this.running.delete(name);
    await settled();
  }

  get names(): string {
    return [...this.running.keys()].join();
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

test("RequestTurns runs so many at once, and the others in the order of their coming", async () => {
  const requests = new Requests();
  const outcomes = ["a", "b", "c", "d"].map((name) => requests.start(name));
  assert.is(requests.names, "a,b");
  await requests.end("b");
  assert.is(requests.names, "a,c");
  await requests.end("a");
  assert.is(requests.names, "c,d");
  await requests.end("c");
  await requests.end("d");
  assert.equal(await Promise.all(outcomes), ["ok", "ok", "ok", "ok"]);
  requests.start("e");
  requests.start("f");
  await settled();
  assert.is(requests.names, "e,f");
});

test("RequestTurns passes no turn to a request that gave up, and loses none", async () => {
  const requests = new Requests();
  const caller = new AbortController();
  requests.start("a");
  requests.start("b");
  const left = requests.start("c", caller.signal);
  requests.start("d");
  caller.abort(new RegistryError("canceled", "gone"));
  assert.is(await left, "canceled");
  assert.is(await requests.start("e", caller.signal), "canceled");
  await requests.end("a");
  assert.is(requests.names, "b,d");
  await requests.end("b");
  await requests.end("d");
  requests.start("f");
  requests.start("g");
  await settled();
  assert.is(requests.names, "f,g");
});

test("RequestTurns refuses more than may wait", async () => {
  const requests = new Requests();
  for (const name of ["a", "b", "c", "d", "e"]) requests.start(name);
  assert.is(await requests.start("f"), "overloaded");
});

test("RequestTurns keeps no place for requests that gave up", async () => {
  const requests = new Requests();
  requests.start("a");
  requests.start("b");
  const caller = new AbortController();
  const left = ["c", "d", "e"].map((name) => requests.start(name, caller.signal));
  caller.abort(new RegistryError("canceled", "gone"));
  assert.equal(await Promise.all(left), ["canceled", "canceled", "canceled"]);
  const next = requests.start("f");
  await requests.end("a");
  assert.is(requests.names, "b,f");
  await requests.end("f");
  assert.is(await next, "ok");
});

test("RequestTurns passes a turn on when a request fails", async () => {
  const turns = new RequestTurns({ runningMax: 1, waitingMax: 1 });
  const { signal } = new AbortController();
  const fail = () => Promise.reject(new RegistryError("connection_lost", "down"));
  assert.is(await codeOf(turns.run(signal, fail)), "connection_lost");
  assert.is(await turns.run(signal, () => Promise.resolve("served")), "served");
});

test.run();
