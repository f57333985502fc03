/** `crs watch` over a client in memory: flags to filters, events to lines, the token at the end. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { runCli } from "../../../src/cli/program.ts";
import type { WatchEvent } from "../../../src/client/mod.ts";
import type { RingMap } from "../../../src/ring/ring_map.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { FakeTerminal } from "../../support/fake_terminal.ts";

const ID = "93fec554-3756-5eb2-b890-56a0bac8eab3";
const RECEIPT = { node: 2, partition: 7, generation: 1, index: 42, ageBoundMs: 0 };
const RECORD = {
  id: ID,
  domain: "a1.example",
  address: "10.0.0.1",
  port: 4000,
  region: "eu-1",
  state: "active",
};

function event(fields: Record<string, unknown>): WatchEvent {
  return { receipt: RECEIPT, token: "TOKEN", ...fields } as unknown as WatchEvent;
}

const PUT = event({
  type: "put",
  kind: "agent",
  record: RECORD,
  isState: false,
  hasLeft: false,
  remainingMs: 9_000,
});
const PROGRESS = event({ type: "progress" });

/** Runs a watch that yields `events`; then a signal ends it, or `error` does. */
async function watched(line: string, events: readonly unknown[], error?: Error) {
  const terminal = new FakeTerminal();
  let isClosed = false;
  const watch = () => ({
    begun: Promise.resolve(),
    token: events.length === 0 ? undefined : "TOKEN",
    close: () => void (isClosed = true),
    async *[Symbol.asyncIterator]() {
      yield* events;
      if (error !== undefined) throw error;
      terminal.signal("SIGINT");
      await Promise.resolve();
      assert.ok(isClosed, "a signal closes the watch");
    },
  });
  const { client, calls } = new FakeClient({ watch, watchRing: watch });
  const code = await runCli(line.split(" "), {
    terminal,
    connect: () =>
      Promise.resolve({
        client,
        endpoints: [],
        timeoutMs: 1_000,
        region: "global",
        close: () => Promise.resolve(),
      }),
  });
  assert.is(terminal.stops.size, 0, "signals are given back");
  return { code, calls, stdout: terminal.stdout, stderr: terminal.stderr };
}

test("crs watch agents passes its conditions on, and prints a line an event and the token", async () => {
  const line =
    `watch agents --region eu-1 --label tier=gold --label a=b --id ${ID} --from OLD --before`;
  const { code, calls, stdout, stderr } = await watched(line, [PROGRESS, PUT]);
  assert.is(code, 0);
  assert.equal(calls, [[
    "watch",
    { kind: "agent", region: "eu-1", labels: { tier: "gold", a: "b" }, ids: [ID] },
    { from: "OLD", before: true, timeoutMs: 1_000 },
  ]]);
  assert.is(
    stdout,
    `Watching agents in region eu-1 with tier=gold a=b with the id ${ID}. ^C ends it.\n` +
      `put          agent ${ID} a1.example 10.0.0.1:4000 active ` +
      "(node 2, up to date, partition 7, index 42)\n",
  );
  assert.is(stderr, "To continue, add --from TOKEN\n");
});

test("crs watch shows the home of a record of another region", async () => {
  const mirror = { ...PUT, home: "us-1", remainingMs: 0 } as WatchEvent;
  const { stdout } = await watched("watch agents", [mirror]);
  assert.match(stdout, /^put +agent .* active of region us-1 \(node 2/m);
  const json = (await watched("watch agents --json", [mirror])).stdout.trim().split("\n");
  assert.is(JSON.parse(json.at(-1)!).home, "us-1");
});

test("crs watch gateways --json prints one object a line, progress only if asked for", async () => {
  const gateway = { ...PUT, kind: "gateway", before: RECORD, isState: true } as WatchEvent;
  const late = event({ type: "reset", receipt: { ...RECEIPT, ageBoundMs: undefined } });
  const line = "watch gateways --with-state --json --progress 5s";
  const { calls, stdout } = await watched(line, [
    gateway,
    late,
    event({ type: "complete" }),
    PROGRESS,
  ]);
  assert.equal(calls[0]!.slice(1), [{ kind: "gateway" }, {
    state: true,
    progressMs: 5_000,
    timeoutMs: 1_000,
  }]);
  const lines = stdout.trim().split("\n").map((text) => JSON.parse(text));
  assert.equal(lines, [
    { event: "watching" },
    {
      event: "put",
      kind: "gateway",
      gateway: RECORD,
      home: null,
      before: RECORD,
      isState: true,
      hasLeft: false,
      remainingMs: 9_000,
      receipt: RECEIPT,
      token: "TOKEN",
    },
    { event: "reset", receipt: { ...RECEIPT, ageBoundMs: null }, token: "TOKEN" },
    { event: "complete", receipt: RECEIPT },
    { event: "progress", receipt: RECEIPT, token: "TOKEN" },
  ]);
});

test("crs watch shows state, records that left, resets and ages in words", async () => {
  const { stdout } = await watched("watch domain a1.example --progress", [
    { ...PUT, isState: true, hasLeft: true, receipt: { ...RECEIPT, ageBoundMs: 30 } },
    event({ type: "reset" }),
    event({ type: "complete" }),
    event({ type: "progress", receipt: { ...RECEIPT, ageBoundMs: undefined } }),
  ]);
  assert.equal(stdout.trim().split("\n"), [
    "Watching the domain a1.example. ^C ends it.",
    `put          agent ${ID} a1.example 10.0.0.1:4000 active as it is no longer matches ` +
    "(node 2, at most 30 ms behind, partition 7, index 42)",
    "reset        changes of partition 7 are lost; its records follow (node 2, up to date)",
    "progress     nothing is missing (node 2, of unknown age)",
  ]);
});

test("crs watch ends with the code of a refusal, and still tells the token", async () => {
  const error = new RegistryError("history_lost", "The cluster was restored");
  const { code, stderr } = await watched("watch agents", [PUT], error);
  assert.is(code, 2);
  assert.match(stderr, /--from TOKEN/);
  assert.match(stderr, /The cluster was restored/);
  const wrong = await watched("watch agents --label x", []);
  assert.is(wrong.code, 2);
  assert.match(wrong.stderr, /--label must be key=value/);
  const interval = await watched("watch agents --progress 1ms", []);
  assert.match(interval.stderr, /--progress must be a duration from 100 ms to 1 m/);
});

test("crs watch ring prints a line a map", async () => {
  const map: RingMap = {
    epoch: { generation: 1, number: 9 },
    partitionCount: 4,
    hashKey: new Uint8Array(16),
    nodes: [1, 2].map((nodeId) => ({
      nodeId,
      addresses: [{ transport: "quic", host: "::1", port: 1 }],
      currentPin: new Uint8Array(0),
      nextPin: new Uint8Array(0),
      zone: `zone-${nodeId}`,
    })),
    placements: [1, 1, 1, 2].map((leader) => ({ leader, replicas: [1, 2] })),
  };
  const text = await watched("watch ring", [map]);
  assert.is(text.stdout, "ring 1.9: 4 partitions, node 1 leads 3, node 2 leads 1\n");
  const json = await watched("watch ring --json", [map]);
  const shown = JSON.parse(json.stdout);
  assert.equal([shown.event, shown.epoch.number, shown.nodes[0].leading], ["ring", 9, 3]);
});

test.run();
