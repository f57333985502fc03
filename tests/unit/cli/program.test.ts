/**
 * The command line over a client in memory: arguments to calls, replies to output and exit codes.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ErrorCode, RegistryError } from "../../../src/base/errors.ts";
import { runCli } from "../../../src/cli/program.ts";
import { RefusalWatch } from "../../../src/cli/refusal_watch.ts";
import type { KeepOptions, Lease, LeaseEvent } from "../../../src/client/mod.ts";
import type { ServerOptions } from "../../../src/cli/shell.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { FakeTerminal } from "../../support/fake_terminal.ts";

const ID = "93fec554-3756-5eb2-b890-56a0bac8eab3";
const POSITION = { generation: 1, index: 42 };
const RECEIPT = { node: 1, partition: 7, term: 2, appliedIndex: 42, ageBoundMs: 0 };
const REGISTERED = {
  id: ID,
  incarnation: POSITION,
  revision: POSITION,
  remainingMs: 30_000,
  renewAfterMs: 10_000,
  created: true,
  receipts: [RECEIPT],
};
const RECORD = {
  id: ID,
  domain: "a1.example",
  address: "10.0.0.1",
  port: 4000,
  region: "global",
  labels: { zone: "a" },
  credentialHash: "",
  ttlMs: 30_000,
  state: "active",
  scope: "global",
  incarnation: POSITION,
  revision: POSITION,
  lastSeenUnixMs: 1_700_000_000_000,
  writer: 1,
};
const AGENT = { ...RECORD, gatewayId: ID };
const CAPACITY = { cpu: 2, memoryMiB: 0, storageMiB: 0, bandwidthMbps: 0, connections: 0 };
const GATEWAY = { ...RECORD, wssPort: 0, capacity: CAPACITY, used: CAPACITY };
const STATUS = {
  nodeId: 1,
  version: "0.1.0",
  region: "global",
  clusterId: ID,
  partitionCount: 1024,
  ready: true,
  reason: "",
  agents: 3,
  gateways: 2,
  aliases: 1,
  sessions: 1,
  uptimeMs: 5_000,
  recordBytes: 100,
  logBytes: 2_048,
  memoryBytes: 3 * 2 ** 20,
  members: 3,
  connected: 2,
  held: 1_024,
  leading: 341,
  leaderless: 0,
  followerReads: 200,
  followerReadsRedirected: 7,
  followerReadsRefused: 1,
  followerReadAgeMsP50: 20,
  followerReadAgeMsP99: 40,
  stale: 0,
};

interface RunOptions {
  readonly files?: Record<string, string>;
  readonly region?: string | undefined;
  /** Thrown instead of connecting. */
  readonly unreachable?: Error;
  readonly terminal?: FakeTerminal;
}

async function crs(line: string, answers: Record<string, unknown> = {}, options: RunOptions = {}) {
  const terminal = options.terminal ?? new FakeTerminal({ files: options.files ?? {} });
  const { calls, client } = new FakeClient(answers);
  const connections: ServerOptions[] = [];
  let closed = 0;
  const code = await runCli(line.split(" ").filter((word) => word !== ""), {
    terminal,
    connect: (server) => {
      connections.push(server);
      if (options.unreachable !== undefined) return Promise.reject(options.unreachable);
      return Promise.resolve({
        client,
        endpoints: [],
        timeoutMs: 1_000,
        region: "region" in options ? options.region : "global",
        close: () => Promise.resolve(void closed++),
      });
    },
  });
  assert.is(closed, options.unreachable === undefined ? connections.length : 0, "Clients closed");
  return { code, calls, connections, terminal, stdout: terminal.stdout, stderr: terminal.stderr };
}

test("crs --help and crs <cmd> --help go to standard output with exit code 0", async () => {
  for (
    const line of ["--help", "start --help", "gateway --help", "gateway register --help", "demo -h"]
  ) {
    const { code, stdout, stderr } = await crs(line);
    assert.is(code, 0, line);
    assert.is(stderr, "", line);
    assert.ok(stdout.startsWith("Usage: crs "), line);
  }
});

test("crs --help names the exit codes and the variables", async () => {
  const { stdout } = await crs("--help");
  for (const word of ["CRS_SERVER", "CRS_DATA", "  2  ", "  3  ", "  4  "]) {
    assert.ok(stdout.includes(word), word);
  }
});

test("crs start --help lists each setting with flag, variable and default", async () => {
  const { stdout } = await crs("start --help");
  const words = stdout.replace(/\s+/g, " ");
  assert.ok(words.includes("--memory-bytes-max"));
  assert.ok(words.includes("CRS_MEMORY_BYTES_MAX"));
  assert.ok(words.includes("default: 4443"));
  assert.not.ok(words.includes("stop-with-stdin"), "what is for programs alone");
});

test("crs <cmd> --help has examples for each command", async () => {
  for (const line of ["gateway keep", "agent resolve", "status", "wal verify", "demo", "config"]) {
    const { stdout } = await crs(`${line} --help`);
    assert.match(stdout, /Examples?:\n {2}crs /, line);
  }
});

test("crs without a command shows help on standard error, exit code 2", async () => {
  for (const line of ["", "gateway"]) {
    const { code, stdout, stderr } = await crs(line);
    assert.is(code, 2, line);
    assert.is(stdout, "", line);
    assert.ok(stderr.includes("Usage: crs"), line);
  }
});

test("a mistake of usage is exit code 2, with what was probably meant and where help is", async () => {
  const cases: [string, string, string][] = [
    ["gatway list", "Did you mean gateway?", "crs --help"],
    ["gateway lst", "Did you mean list?", "crs gateway --help"],
    ["gateway list --regoin x", "Did you mean --region?", "crs gateway list --help"],
    ["gateway get", "id", "crs gateway get --help"],
    ["agent resolve a b", "too many arguments", "crs agent resolve --help"],
    ["gateway list --region", "argument missing", "crs gateway list --help"],
  ];
  for (const [line, said, help] of cases) {
    const { code, stdout, stderr, connections } = await crs(line);
    assert.is(code, 2, line);
    assert.is(stdout, "", line);
    assert.ok(stderr.startsWith("error: invalid_argument\n"), line);
    assert.ok(stderr.includes(said) || stderr.toLowerCase().includes(said), `${line}: ${stderr}`);
    assert.ok(stderr.includes(help), `${line}: ${stderr}`);
    assert.is(connections.length, 0, line);
  }
});

test("a mistake of usage with --json is a document on standard output too", async () => {
  const { code, terminal } = await crs("gateway list --json --nope");
  assert.is(code, 2);
  const { error } = terminal.document as { error: Record<string, unknown> };
  assert.is(error["code"], "invalid_argument");
  assert.is(error["class"], "caller");
  assert.ok(String(error["message"]).includes("--nope"));
  assert.ok(String(error["advice"]).includes("--help"));
});

test("gateway register passes file and flags on, and takes over", async () => {
  const files = {
    "g.json": `{"region":"x","gateway_ip":"1.2.3.4","gateway_domain":"g.example","gateway_port":1}`,
  };
  const { code, calls, stdout } = await crs(
    "gateway register --file g.json --ttl 60 --cpu 4 --label zone=a --label rack=1",
    { registerGateway: REGISTERED },
    { files },
  );
  assert.is(code, 0);
  assert.equal(calls, [["registerGateway", {
    region: "x",
    address: "1.2.3.4",
    domain: "g.example",
    port: 1,
    labels: { zone: "a", rack: "1" },
    ttlMs: 60_000,
    capacity: { cpu: 4 },
  }, { takeOver: true }]]);
  assert.ok(stdout.includes(ID) && stdout.includes("1.42") && stdout.includes("30 s"), stdout);
});

test("gateway register --no-take-over leaves the record to the process that holds it", async () => {
  const { calls } = await crs("gateway register --domain g.example --port 1 --no-take-over", {
    registerGateway: REGISTERED,
  });
  assert.equal(calls[0]?.[2], { takeOver: false });
});

test("agent register --json prints one document with id, incarnation and lease", async () => {
  const { code, calls, terminal } = await crs(
    `agent register --domain a1.example --gateway ${ID} --ttl 30 --json`,
    { registerAgent: REGISTERED },
  );
  assert.is(code, 0);
  assert.equal(calls[0]?.[1], {
    region: "global",
    domain: "a1.example",
    gatewayId: ID,
    ttlMs: 30_000,
  });
  assert.equal(terminal.document, { kind: "agent", ...REGISTERED });
});

test("a region that nobody named is the node's, which is asked where it is not local", async () => {
  const { calls } = await crs("agent list", {
    nodeStatus: STATUS,
    listAgents: { items: [], nextCursor: undefined, receipts: [] },
  }, {
    region: undefined,
  });
  assert.equal(calls.map(([name]) => name), ["nodeStatus", "listAgents"]);
  assert.is(calls[1]?.[1], "global");
});

test("agent resolve shows the agent, its gateway and the receipts", async () => {
  const resolved = {
    domain: "a1.example",
    agent: AGENT,
    gateway: GATEWAY,
    gatewayId: ID,
    agentRemainingMs: 20_000,
    gatewayRemainingMs: 10_000,
    stale: false,
    ageMs: 0,
    receipts: [RECEIPT, RECEIPT],
  };
  const asText = await crs("agent resolve a1.example", { resolveAgent: resolved });
  assert.is(asText.code, 0);
  for (
    const word of ["a1.example", "20 s left, ttl 30 s", "10.0.0.1:4000", "partition 7", "zone=a"]
  ) {
    assert.ok(asText.stdout.includes(word), word);
  }
  const asJson = await crs("agent resolve a1.example --json", { resolveAgent: resolved });
  const own = { agentSource: null, gatewaySource: null };
  assert.equal(asJson.terminal.document, { ...resolved, ...own });
});

test("agent resolve and get show the home of a record of another region, and pass --region on", async () => {
  const source = { home: "us-1", revision: POSITION, ageMs: 1_200, suspended: false };
  const lost = { ...source, ageMs: undefined, suspended: true };
  const resolved = {
    ...{ domain: "a1.example", agent: AGENT, gateway: GATEWAY, gatewayId: ID },
    ...{ agentRemainingMs: 0, gatewayRemainingMs: 0, stale: false, ageMs: 0, receipts: [RECEIPT] },
    ...{ agentSource: source, gatewaySource: lost },
  };
  const answers = { resolveAgent: resolved };
  const text = await crs("agent resolve a1.example --region us-1", answers);
  assert.match(text.stdout, /home +us-1, at most 1\.2 s old\n/);
  assert.match(text.stdout, /home +us-1, of unknown age; suspended: it may have ended meanwhile/);
  assert.match(text.stdout, /lease +kept by its home, ttl 30 s/);
  assert.equal(text.calls, [["resolveAgent", "a1.example", { region: "us-1" }]]);
  const json = (await crs("agent resolve a1.example --json", answers)).terminal.document;
  const { agentSource, gatewaySource } = json as Record<string, unknown>;
  assert.equal([agentSource, gatewaySource], [source, { ...lost, ageMs: null }]);
  // The writer is a number of the other region, so nobody is asked who that is.
  const getAgent = { agent: AGENT, remainingMs: 0, source, receipts: [RECEIPT] };
  const shown = await crs(`agent get ${ID} --region us-1`, { getAgent });
  assert.equal(shown.calls, [["getAgent", ID, { region: "us-1" }]]);
  assert.match(shown.stdout, /home +us-1/);
  const listAgents = { items: [{ agent: AGENT, remainingMs: 0, source }], receipts: [RECEIPT] };
  const rows = (await crs("agent list", { listAgents })).stdout;
  assert.match(rows, / at us-1\n/);
  const listed = (await crs("agent list --json", { listAgents })).terminal.document;
  assert.equal((listed as { agents: { source: unknown }[] }).agents[0]?.source, source);
});

test("--home lets a command go to the region that the record belongs to", async () => {
  const home = { home: true };
  const getAgent = { agent: AGENT, remainingMs: 7_000, receipts: [RECEIPT] };
  const shown = await crs(`agent get ${ID} --home --region us-1`, { getAgent });
  // The writer is a number of the other region, so nobody is asked who that is.
  assert.equal(shown.calls, [["getAgent", ID, { region: "us-1", ...home }]]);
  const removed = await crs(`agent deregister ${ID} --home`, {
    deregisterAgent: { removed: 1, receipts: [RECEIPT] },
  });
  assert.equal(removed.calls, [["deregisterAgent", ID, { withAgents: false, ...home }]]);
  const fields = { homeRegion: "us-1" };
  const error = new RegistryError("foreign_region", "It belongs to region us-1", fields);
  const foreign = await crs(`agent deregister ${ID}`, {
    deregisterAgent: () => Promise.reject(error),
  });
  assert.match(foreign.stderr, /belongs to region us-1\n.*--home/);
});

test("agent resolve --json says null where there is no gateway", async () => {
  const resolved = { domain: "a", agent: AGENT, receipts: [], stale: false, ageMs: 0 };
  const { terminal } = await crs("agent resolve a --json", { resolveAgent: resolved });
  const document = terminal.document as Record<string, unknown>;
  assert.is(document["gateway"], null);
  assert.is(document["gatewayId"], null);
});

/** Returns pages with those numbers of items, as a client returns them. */
function pages(item: unknown, sizes: readonly number[]) {
  const left = [...sizes];
  return () => {
    const size = left.shift() ?? 0;
    return Promise.resolve({
      items: Array.from({ length: size }, () => item),
      nextCursor: left.length > 0 ? Uint8Array.of(0xab, left.length) : undefined,
      receipts: [RECEIPT],
    });
  };
}
const LISTED_GATEWAY = { gateway: GATEWAY, remainingMs: 9_000 };
const LISTED_AGENT = { agent: AGENT, remainingMs: 9_000 };

test("gateway list is a table, an empty region a sentence", async () => {
  const full = await crs("gateway list --region eu", { listGateways: pages(LISTED_GATEWAY, [1]) });
  assert.equal(full.calls[0]?.[1], "eu");
  assert.match(full.stdout, /^ID +DOMAIN +ADDRESS +STATE +LEASE\n/);
  assert.is(full.stdout.trim().split("\n").length, 2);
  assert.is(full.stderr, "");
  const empty = await crs("gateway list", { listGateways: pages(LISTED_GATEWAY, [0]) });
  assert.is(empty.code, 0);
  assert.ok(empty.stdout.includes("No gateways"));
});

test("lists gather all pages, with the receipts of all of them", async () => {
  const { calls, terminal } = await crs("agent list --json", {
    listAgents: pages(LISTED_AGENT, [2, 0, 1]),
  });
  assert.equal(calls.map(([, , options]) => options), [
    { limit: 1_000 },
    { limit: 1_000, cursor: Uint8Array.of(0xab, 2) },
    { limit: 1_000, cursor: Uint8Array.of(0xab, 1) },
  ]);
  const { agents, ...rest } = terminal.document as { agents: unknown[] };
  assert.is(agents.length, 3);
  assert.equal(rest, {
    region: "global",
    nextCursor: null,
    receipts: [RECEIPT, RECEIPT, RECEIPT],
  });
});

test("a list that --limit cut says so, and --cursor continues it", async () => {
  const cut = await crs("gateway list --limit 2", { listGateways: pages(LISTED_GATEWAY, [2, 1]) });
  assert.equal(cut.calls, [["listGateways", "global", { limit: 2 }]]);
  assert.match(cut.stderr, /more gateways follow.*--cursor ab01\n/);
  assert.is(cut.stdout.trim().split("\n").length, 3);
  const more = await crs("gateway list --limit 2 --cursor ab01 --json", {
    listGateways: pages(LISTED_GATEWAY, [2, 1]),
  });
  assert.equal(more.calls[0]?.[2], { limit: 2, cursor: Uint8Array.of(0xab, 1) });
  assert.is((more.terminal.document as { nextCursor: string }).nextCursor, "ab01");
  assert.is(more.stderr, "");
  for (const bad of ["--limit 0", "--cursor x", "--cursor", "--free --cursor ab01"]) {
    assert.is((await crs(`gateway list ${bad}`)).code, 2, bad);
  }
});

test("lists fit the terminal, and --wide shows every column", async () => {
  const domain = `${"long-".repeat(12)}name.example`;
  const answers = () => ({
    listAgents: pages({ agent: { ...AGENT, domain }, remainingMs: 86_399_000 }, [2]),
    listGateways: pages({ gateway: { ...GATEWAY, domain }, remainingMs: 86_399_000 }, [2]),
  });
  for (const kind of ["agent", "gateway"]) {
    for (const columns of [80, 100, 120]) {
      const terminal = new FakeTerminal();
      Object.assign(terminal, { isOutTty: true, columns });
      const { stdout } = await crs(`${kind} list`, answers(), { terminal });
      for (const line of stdout.split("\n")) assert.ok(line.length <= columns, line);
      assert.ok(stdout.includes(ID) && stdout.includes("…"), stdout);
      assert.is(stdout.includes("ADDRESS"), columns >= 100);
    }
    const piped = await crs(`${kind} list`, answers());
    assert.ok(piped.stdout.includes(domain), "nothing is cut where a program reads");
    const wide = await crs(`${kind} list --wide`, answers());
    assert.match(wide.stdout, kind === "agent" ? /GATEWAY +INCARNATION/ : /CAPACITY +USED +INCAR/);
  }
});

test("gateway list --free asks for free capacity", async () => {
  const { calls } = await crs("gateway list --free", { resolveGateways: pages(0, [0]) });
  assert.equal(calls, [["resolveGateways", "global", { limit: 256 }]]);
});

test("agent drain and --off report the state", async () => {
  const answers = { reportAgent: { revision: POSITION, receipts: [] } };
  const on = await crs(`agent drain ${ID}`, answers);
  assert.equal(on.calls, [["reportAgent", ID, { draining: true }]]);
  assert.is(on.stdout, `Agent ${ID} is draining, revision 1.42.\n`);
  const off = await crs(`agent drain ${ID} --off --json`, answers);
  assert.equal(off.calls, [["reportAgent", ID, { draining: false }]]);
  assert.is((await crs("agent drain a1.example")).code, 2);
});

test("gateway drain and --off report the state", async () => {
  const answers = { reportGateway: { revision: POSITION, receipts: [] } };
  const on = await crs(`gateway drain ${ID}`, answers);
  assert.equal(on.calls, [["reportGateway", ID, { draining: true }]]);
  const off = await crs(`gateway drain ${ID} --off --json`, answers);
  assert.equal(off.calls, [["reportGateway", ID, { draining: false }]]);
  assert.is((off.terminal.document as { draining: boolean }).draining, false);
});

test("gateway deregister reports the number of removed records", async () => {
  const answers = { deregisterGateway: { removed: 3, receipts: [] } };
  const { calls, stdout } = await crs(`gateway deregister ${ID} --with-agents`, answers);
  assert.equal(calls, [["deregisterGateway", ID, { withAgents: true }]]);
  assert.ok(stdout.includes("and 2 of its agents"), stdout);
  const gone = await crs(`gateway deregister ${ID}`, {
    deregisterGateway: { removed: 0, receipts: [] },
  });
  assert.equal(gone.calls[0]?.[2], { withAgents: false });
  assert.ok(gone.stdout.includes("already gone"));
});

test("agent get takes an id, and tells a domain's owner what to type", async () => {
  const answers = { getAgent: { agent: AGENT, remainingMs: 5, receipts: [RECEIPT] } };
  const found = await crs(`agent get ${ID}`, answers);
  assert.ok(found.stdout.includes(ID) && found.stdout.includes("linearizable"));
  const { code, stderr } = await crs("agent get a1.example");
  assert.is(code, 2);
  assert.ok(stderr.includes("crs agent resolve"), stderr);
});

test("status shows the node; one that is not ready is exit code 4", async () => {
  const ready = await crs("status", { nodeStatus: STATUS });
  assert.is(ready.code, 0);
  assert.ok(ready.stdout.includes("ready") && ready.stdout.includes("2.0 KiB"), ready.stdout);
  assert.match(ready.stdout, "1024, 1024 held here, 341 led");
  assert.match(ready.stdout, "3, 2 of them connected, this one included");
  const not = await crs("status --json", {
    nodeStatus: { ...STATUS, ready: false, reason: "disk full" },
  });
  assert.is(not.code, 4);
  assert.is((not.terminal.document as { reason: string }).reason, "disk full");
});

test("an error of the registry has its exit code, code, message and advice", async () => {
  const cases: [RegistryError, number][] = [
    [new RegistryError("not_found", "No agent", { cacheMs: 1_000 }), 3],
    [new RegistryError("overloaded", "Busy", { retryAfterMs: 12.3 }), 4],
    [new RegistryError("domain_taken", "Taken"), 2],
    [new RegistryError("internal", "Broken"), 1],
  ];
  for (const [error, exitCode] of cases) {
    const answers = { resolveAgent: () => Promise.reject(error) };
    const { code, stdout, stderr } = await crs("agent resolve a.example", answers);
    assert.is(code, exitCode, error.code);
    assert.is(stdout, "");
    assert.ok(stderr.startsWith(`error: ${error.code}\n  ${error.message}\n  `), stderr);
    const asJson = await crs("agent resolve a.example --json", answers);
    assert.is(asJson.code, exitCode);
    const document = asJson.terminal.document as { error: Record<string, unknown> };
    assert.is(document.error["code"], error.code);
    for (const [name, value] of Object.entries(error.fields)) {
      assert.equal(document.error[name], value);
    }
  }
});

test("the advice for an overload says how long to wait", async () => {
  const error = new RegistryError("overloaded", "Busy", { retryAfterMs: 12.3 });
  const { stderr } = await crs("status", { nodeStatus: () => Promise.reject(error) });
  assert.ok(stderr.includes("Wait for 13 ms"), stderr);
});

test("the advice for a file system that refuses goes by its code", async () => {
  const refused = (code: string) => Object.assign(new Error(`${code}: refused`), { code });
  for (const [code, words] of [["EROFS", "is read-only"], ["ENOSPC", "free space"]] as const) {
    const opened = new RegistryError("storage_unavailable", "Cannot open", {}, refused(code));
    for (const unreachable of [opened, refused(code)]) {
      const failed = await crs("status --json", {}, { unreachable });
      assert.is(failed.code, 4);
      const { error } = failed.terminal.document as { error: { code: string; advice: string } };
      assert.is(error.code, "storage_unavailable");
      assert.ok(error.advice.includes(words), error.advice);
    }
  }
});

test("a bug is an internal error with the place where it happened", async () => {
  const { code, stderr } = await crs("status", {
    nodeStatus: () => Promise.reject(new TypeError("oops")),
  });
  assert.is(code, 1);
  assert.ok(stderr.includes("error: internal") && stderr.includes("program.test.ts"), stderr);
});

test("a registry that cannot be reached is exit code 4", async () => {
  const unreachable = new RegistryError("connection_lost", "Nobody there");
  assert.is((await crs("status", {}, { unreachable })).code, 4);
});

test("--server, --data, --ca, --pin and --timeout reach the connection", async () => {
  const { connections } = await crs(
    "status --server a:1 --data d --ca c.pem --pin p1 --pin p2 --timeout 2s",
    { nodeStatus: STATUS },
  );
  assert.equal(connections, [{
    server: "a:1",
    data: "d",
    ca: "c.pem",
    pin: ["p1", "p2"],
    timeout: "2s",
  }]);
});

test("--max-staleness reaches the connection of commands that read, and no others", async () => {
  const id = "11111111-1111-4111-8111-111111111111";
  for (const read of [`agent get ${id}`, "agent resolve a.example", "gateway list --free"]) {
    const { connections } = await crs(`${read} --max-staleness 100ms`, {});
    assert.equal(connections.map(({ maxStaleness }) => maxStaleness), ["100ms"], read);
    assert.match((await crs(`${read.split(" ", 2).join(" ")} --help`)).stdout, "--max-staleness");
  }
  const write = await crs(`agent drain ${id} --max-staleness 100ms`);
  assert.is(write.code, 2);
  assert.equal(write.connections, []);
});

/** A lease that the test ends. */
function fakeLease() {
  const ended = Promise.withResolvers<unknown>();
  const released: unknown[] = [];
  const lease = {
    kind: "gateway",
    id: ID,
    incarnation: POSITION,
    ended: ended.promise,
    release: (options: unknown) => Promise.resolve(void released.push(options)),
  };
  return { lease, ended, released };
}

test("gateway keep tells events, and deregisters at a signal", async () => {
  const { lease, released } = fakeLease();
  const terminal = new FakeTerminal();
  const keepGateway = (_: unknown, { onEvent }: KeepOptions) => {
    const tell = (event: LeaseEvent) => onEvent?.(event, { remainingMs: 9_000 } as Lease);
    setTimeout(() => {
      tell({ kind: "renewed", remainingMs: 29_000 });
      tell({ kind: "expired" });
      tell({ kind: "recovered", incarnation: { generation: 1, index: 50 } });
      tell({ kind: "renewal_failed", error: new RegistryError("overloaded", "Busy") });
      terminal.signal("SIGINT");
    }, 0);
    return Promise.resolve(lease);
  };
  const { code, calls } = await crs("gateway keep --domain g.example --port 1 --json", {
    keepGateway,
  }, {
    terminal,
  });
  assert.is(code, 0);
  assert.is((calls[0]?.[2] as { takeOver: boolean }).takeOver, true);
  assert.equal(released, [{ timeoutMs: 1_000 }]);
  const events = terminal.stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(events.map(({ event }) => event), [
    "registered",
    "renewed",
    "expired",
    "recovered",
    "renewal_failed",
    "stopping",
    "deregistered",
  ]);
  assert.is(events[4].error.code, "overloaded");
  assert.is(terminal.stops.size, 0, "Signals are given back");
});

/**
 * Returns the output of `gateway keep` for events, each with the remaining time of the lease; ends
 * it by a signal.
 */
async function kept(events: readonly (readonly [LeaseEvent, number])[], flags = "") {
  const { lease } = fakeLease();
  const terminal = new FakeTerminal();
  const keepGateway = (_: unknown, { onEvent }: KeepOptions) => {
    setTimeout(() => {
      for (const [event, remainingMs] of events) onEvent?.(event, { remainingMs } as Lease);
      setTimeout(() => terminal.signal("SIGINT"), 0);
    }, 0);
    return Promise.resolve(lease);
  };
  return await crs(`gateway keep --domain g.example --port 1${flags}`, { keepGateway }, {
    terminal,
  });
}
const failing = (code: ErrorCode, message = "No") =>
  ({ kind: "renewal_failed", error: new RegistryError(code, message) }) as const;

test("gateway keep says once when the ttl is over, and does not repeat itself", async () => {
  const outage = [
    [failing("deadline_exceeded"), 5_000],
    [failing("deadline_exceeded"), 0],
    [failing("deadline_exceeded"), 0],
    [failing("storage_unavailable", "Full"), 0],
    [{ kind: "renewed", remainingMs: 30_000 }, 30_000],
    [failing("deadline_exceeded"), 0],
  ] as const;
  const { code, stdout } = await kept(outage);
  assert.is(code, 0);
  const said = stdout.trim().split("\n").slice(1, -2).map((line) => line.slice(0, 24));
  assert.equal(said, [
    "Renewal failed, retrying",
    "The ttl has passed: the ",
    "Renewal failed, retrying",
    "Renewed: 30 s left.",
    "Renewal failed, retrying",
    "The ttl has passed: the ",
  ]);
  assert.ok(stdout.includes("retrying, 5 s left: deadline_exceeded"), stdout);
  const script = await kept(outage, " --json");
  const events = script.stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.is(events.filter(({ event }) => event === "renewal_failed").length, 5);
  assert.is(events.filter(({ event }) => event === "ttl_over").length, 2);
  assert.is(events[1].remainingMs, 5_000);
});

test("gateway keep ends where it is refused again and again, and never by an outage", async () => {
  const refused = Array.from(
    { length: 3 },
    () => [failing("unauthenticated", "banned"), 9] as const,
  );
  const ended = await kept(refused);
  assert.is(ended.code, 2);
  assert.ok(ended.stderr.includes("error: unauthenticated"), ended.stderr);
  assert.ok(ended.stderr.includes("cannot be kept: banned"), ended.stderr);
  const renewed = [{ kind: "renewed", remainingMs: 9 }, 9] as const;
  assert.is((await kept([...refused.slice(1), renewed, ...refused.slice(1)])).code, 0);
  const outage = Array.from({ length: 99 }, () => [failing("deadline_exceeded"), 0] as const);
  assert.is((await kept(outage)).code, 0);
});

test("RefusalWatch counts refused connections until one is made", async () => {
  const endpoint = { host: "h", port: 1 };
  const attempt = (code: ErrorCode) =>
    ({
      kind: "attempt_failed",
      endpoint,
      error: new RegistryError(code, "No"),
      retryInMs: 1,
    }) as const;
  const watch = new RefusalWatch();
  let isOver = false;
  void watch.refused.then(() => isOver = true);
  const refuse = (times: number) => {
    for (let time = 0; time < times; time++) watch.connection(attempt("unauthenticated"));
  };
  refuse(2);
  watch.connection({ kind: "connected", endpoint, nodeId: 1 });
  refuse(2);
  for (let time = 0; time < 99; time++) watch.connection(attempt("connection_lost"));
  await Promise.resolve();
  assert.is(isOver, false);
  refuse(1);
  assert.is((await watch.refused).code, "unauthenticated");
});

test("gateway keep ends with the reason when the lease is lost", async () => {
  const { lease, ended, released } = fakeLease();
  ended.resolve({ reason: "superseded", error: undefined });
  const { code, stderr } = await crs("gateway keep --domain g.example --port 1", {
    keepGateway: lease,
  });
  assert.is(code, 2);
  assert.ok(stderr.includes("superseded"), stderr);
  assert.equal(released, []);
});

test("gateway keep reports that it could not register, with its exit code", async () => {
  const keepGateway = () => Promise.reject(new RegistryError("storage_unavailable", "Full"));
  assert.is((await crs("gateway keep --domain g.example --port 1", { keepGateway })).code, 4);
});

test("config lists all settings, and every mistake in them at once", async () => {
  const { code, terminal } = await crs("config --json", {}, {
    terminal: new FakeTerminal({ environment: { CRS_PORT: "5000" } }),
  });
  assert.is(code, 0);
  const { settings } = terminal.document as { settings: { key: string; value: unknown }[] };
  assert.is(settings.find(({ key }) => key === "port")?.value, 5_000);
  const bad = await crs("config", {}, {
    terminal: new FakeTerminal({ environment: { CRS_PORT: "x", CRS_REGION: "_" } }),
  });
  assert.is(bad.code, 2);
  assert.ok(bad.stderr.includes("CRS_PORT") && bad.stderr.includes("CRS_REGION"), bad.stderr);
});

test("wal dump and verify name what is not there", async () => {
  assert.is((await crs("wal dump /nowhere/x.wal")).code, 3);
  assert.is((await crs("wal verify /nowhere")).code, 3);
});

test("demo refuses sizes out of bounds", async () => {
  for (const flags of ["--seconds 0", "--agents x", "--proxies 1001", "--rate -1"]) {
    assert.is((await crs(`demo ${flags}`)).code, 2, flags);
  }
});

test.run();
