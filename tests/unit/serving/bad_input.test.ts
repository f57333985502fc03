/**
 * Requests that no honest client sends: each gets its code, and other sessions are not affected.
 */
import { KIND_AGENT, KIND_GATEWAY } from "../../../src/record/key.ts";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { responseCodec } from "../../../schemas/gen/wire.ts";
import {
  LIST_ITEMS_MAX,
  RECORD_BYTES_MAX,
  REGIONS_INTERNED_MAX,
  REGISTER_ITEMS_MAX,
  RENEW_ITEMS_MAX,
  REPLY_BACKLOG_BYTES_HIGH,
  REPLY_BACKLOG_BYTES_MAX,
  REQUEST_FRAME_BYTES_MAX,
  REQUESTS_IN_FLIGHT_MAX,
  RESOLVE_ITEMS_MAX,
  RESPONSE_FRAME_BYTES_MAX,
} from "../../../src/base/limits.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { FrameAssembler } from "../../../src/wire/frame_assembler.ts";
import { OPERATION_IDS_END, OPERATIONS } from "../../../src/wire/operations/mod.ts";
import { concatBytes } from "../../../src/base/bytes.ts";
import { NO_POSITION } from "../../../src/base/position.ts";
import { controlFrame, GOOD_HELLO, type RawPeer, requestFrame } from "../../support/raw_peer.ts";
import { agentRequest, gatewayRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { extraOf, idOf } from "../../support/store.ts";

const GET = { id: idOf(1) };

/** Asserts that a session is served as before. */
async function served(peer: RawPeer): Promise<void> {
  assert.is((await peer.ask("getAgent", { id: idOf(0x7777_7777) })).code, "not_found");
}

test("fields that are wrong are refused by name, and the connection goes on", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const long = "x".repeat(254);
  const agents: [Parameters<typeof agentRequest>[0], string, string][] = [
    [{ number: 1, ttlMs: 4_999 }, "invalid_argument", "ttlMs"],
    [{ number: 1, ttlMs: 86_400_001 }, "invalid_argument", "ttlMs"],
    [{ number: 1, ttlMs: 0xffff_ffff }, "invalid_argument", "ttlMs"],
    [{ number: 1, domain: "no domain" }, "invalid_argument", "domain"],
    [{ number: 1, domain: `${long}` }, "invalid_argument", "domain"],
    [{ number: 1, domain: "a..b" }, "invalid_argument", "domain"],
    [{ number: 1, domain: "-a.example" }, "invalid_argument", "domain"],
    [{ number: 1, region: "" }, "invalid_argument", "region"],
    [{ number: 1, region: "NO REGION" }, "invalid_argument", "region"],
    [{ number: 1, state: 2 }, "invalid_argument", "state"],
    [{ number: 1, process: 0 }, "invalid_argument", "process"],
    [{ number: 1, extra: extraOf({ "bad key": "v" }) }, "invalid_argument", "labels"],
    [{ number: 1, extra: extraOf({ k: "v".repeat(256) }) }, "invalid_argument", "labels.k"],
    [
      {
        number: 1,
        extra: extraOf(Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, "v"]))),
      },
      "invalid_argument",
      "labels",
    ],
    [
      { number: 1, extra: { ...extraOf({}), credentialHash: new Uint8Array(65) } },
      "invalid_argument",
      "credentialHash",
    ],
  ];
  for (const [fields, code, field] of agents) {
    const { response, code: found } = await peer.ask("registerAgent", agentRequest(fields));
    assert.is(found, code, JSON.stringify(fields));
    assert.is(response.field, field);
    assert.ok(response.message.length > 10 && response.message.length < 300);
  }
  const gateways: [Parameters<typeof gatewayRequest>[0], string][] = [
    [{ number: 1, port: 0 }, "port"],
    [{ number: 1, address: new Uint8Array(16) }, "address"],
    [
      {
        number: 1,
        capacity: { cpu: NaN, memoryMiB: 0, storageMiB: 0, bandwidthMbps: 0, connections: 0 },
      },
      "capacity.cpu",
    ],
    [
      {
        number: 1,
        used: { cpu: 0, memoryMiB: 0, storageMiB: 0, bandwidthMbps: -1, connections: 0 },
      },
      "used.bandwidthMbps",
    ],
  ];
  for (const [fields, field] of gateways) {
    const { response, code } = await peer.ask("registerGateway", gatewayRequest(fields));
    assert.is(code, "invalid_argument", field);
    assert.is(response.field, field);
  }
  assert.is(harness.registry.shared.counts.records[KIND_AGENT]!, 0);
  assert.is(harness.registry.shared.counts.aliases, 0, "no domain was claimed for a bad record");
  await served(peer);
});

test("a record that is no record, or too large, is refused without being logged", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const before = harness.logged;
  const records: [Uint8Array, string][] = [
    [new Uint8Array(0), "malformed"],
    [new Uint8Array(7), "malformed"],
    [new Uint8Array(64).fill(0xff), "malformed"],
    [new Uint8Array(RECORD_BYTES_MAX + 8), "too_large"],
    [agentRequest({ number: 1 }).record.subarray(0, 40), "malformed"],
  ];
  for (const [record, code] of records) {
    assert.is((await peer.ask("registerAgent", { record, expected: NO_POSITION })).code, code);
    assert.is((await peer.ask("registerGateway", { record, expected: NO_POSITION })).code, code);
  }
  assert.is(harness.logged, before);
  await served(peer);
});

test("more items than a request may name are refused with too_large", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const renewal = { id: idOf(1), incarnation: NO_POSITION, kind: 1 };
  const items = (count: number) => new Array(count).fill(renewal);
  assert.is((await peer.ask("renew", { items: items(RENEW_ITEMS_MAX + 1) })).code, "too_large");
  assert.is((await peer.must("renew", { items: items(RENEW_ITEMS_MAX) })).failures.length, 4_096);
  const empty = { record: new Uint8Array(0), expected: NO_POSITION, kind: 9 };
  const register = (count: number) => ({ items: new Array(count).fill(empty) });
  assert.is(
    (await peer.ask("registerMany", register(REGISTER_ITEMS_MAX + 1))).code,
    "too_large",
  );
  const { items: outcomes } = await peer.must("registerMany", register(REGISTER_ITEMS_MAX));
  assert.ok(outcomes.every(({ code }: { code: number }) => code === 3));
  const domains = (count: number) => ({ domains: new Array(count).fill("a.example") });
  assert.is((await peer.ask("resolveAgents", domains(RESOLVE_ITEMS_MAX + 1))).code, "too_large");
  const list = { region: "global", cursor: new Uint8Array(0), limit: LIST_ITEMS_MAX + 1 };
  assert.is((await peer.ask("listAgentsByRegion", list)).response.field, "limit");
  assert.is(
    (await peer.ask("listAgentsByRegion", { ...list, limit: 1, region: "" })).code,
    "invalid_argument",
  );
  await served(peer);
});

test("an operation that is not known is refused with its request's id", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  for (const operation of [0, OPERATION_IDS_END, 0xffff]) {
    const frame = requestFrame(4_000 + operation, "getAgent", GET);
    const view = new DataView(frame.buffer, frame.byteOffset);
    const at = findOperation(frame);
    view.setUint16(at, operation, true);
    const answer = peer.expect(4_000 + operation, "getAgent");
    peer.write(frame);
    assert.is((await harness.world.wait(answer)).code, "unknown_operation");
  }
  await served(peer);
});

/** Returns requests after which the node reads the largest chunks. */
function busy(): Uint8Array[] {
  return new Array(1_500).fill(requestFrame(0, "getAgent", { id: idOf(0x7777_7777) }));
}

/** Returns the position of the operation in a getAgent frame. */
function findOperation(frame: Uint8Array): number {
  const other = requestFrame(0, "getGateway", GET);
  const mine = requestFrame(0, "getAgent", GET);
  const at = mine.findIndex((byte, index) => byte !== other[index]);
  assert.ok(at > 8 && at < frame.length);
  return at;
}

test("a whole frame that holds nonsense is answered malformed, and the stream goes on", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const frame = new Uint8Array(8 + 64).fill(0xff, 8);
  new DataView(frame.buffer).setUint32(4, 8, true);
  peer.write(frame);
  await harness.world.settle();
  assert.equal(peer.replies.map(({ code }) => code), ["malformed"]);
  assert.is(peer.replies[0]!.response.id, 0);
  await served(peer);
});

test("a frame that is too large, or of many segments, ends its session with the code", async () => {
  const harness = await RegistryHarness.open();
  const bystander = await harness.peer();
  const cases: [number, number, string][] = [
    [0, REQUEST_FRAME_BYTES_MAX / 8, "too_large"],
    [0, 0xffff_ffff, "too_large"],
    [1, 1, "malformed"],
    [0x7fff_ffff, 1, "malformed"],
  ];
  for (const [segments, words, code] of cases) {
    const peer = await harness.peer();
    const table = new Uint8Array(8);
    new DataView(table.buffer).setUint32(0, segments, true);
    new DataView(table.buffer).setUint32(4, words, true);
    peer.write(table);
    const end = await harness.world.wait(peer.session.closed);
    assert.ok([code, "too_large"].includes(String(end.code)), `${segments}: ${end.code}`);
    assert.is(peer.goodbye, end.code);
  }
  await served(bystander);
  assert.is(harness.sessions.count, 1);
});

test("a request whose time is up is answered so, and one that names too much gets the limit", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  const startMs = harness.world.nowMs();
  const late = await peer.ask("registerAgent", agentRequest({ number: 1 }), {
    timeoutMs: 0xffff_ffff,
  });
  assert.is(late.code, "deadline_exceeded");
  const tookMs = harness.world.nowMs() - startMs;
  assert.ok(tookMs >= 60_000 && tookMs <= 60_200, String(tookMs));
});

test("10,000 reads at once on one connection are all answered", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1 }));
  const answers = Array.from({ length: 10_000 }, () => peer.send("getAgent", GET));
  for (const answer of answers) assert.is((await harness.world.wait(answer)).code, "ok");
});

test("10,000 writes at once on one connection: those above the limit are overloaded, none is lost", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const other = await harness.peer();
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  const answers = Array.from(
    { length: 10_000 },
    (_, index) => peer.send("registerAgent", agentRequest({ number: index + 1 })),
  );
  await harness.world.settle();
  assert.is((await other.ask("getAgent", GET)).code, "not_found", "others are served meanwhile");
  harness.disk.intercept = () => undefined;
  harness.disk.releaseHeld();
  const codes = new Map<string, number>();
  for (const answer of answers) {
    const { code, response } = await harness.world.wait(answer);
    codes.set(code, (codes.get(code) ?? 0) + 1);
    if (code === "overloaded") assert.ok(response.retryAfterMs > 0);
  }
  assert.is(codes.get("ok"), REQUESTS_IN_FLIGHT_MAX);
  assert.is(codes.get("overloaded"), 10_000 - REQUESTS_IN_FLIGHT_MAX);
  assert.is(harness.registry.shared.counts.records[KIND_AGENT]!, REQUESTS_IN_FLIGHT_MAX);
  await served(peer);
});

/** Registers agents, and asks in one chunk for pages of 1,000 of them, without reading. */
async function listsWanted(agents: number, lists: number, timeoutMs: number) {
  const harness = await RegistryHarness.open({ partitions: 2 });
  const writer = await harness.peer();
  const extra = extraOf({ k: "v".repeat(200) });
  for (let at = 0; at < agents; at += 500) {
    const items = Array.from(
      { length: 500 },
      (_, index) => ({ ...agentRequest({ number: at + index + 1, extra }), kind: 1 }),
    );
    await writer.must("registerMany", { items });
  }
  const peer = await harness.unauthenticated();
  await harness.world.wait(peer.control.write(helloFrame()));
  const stream = await harness.world.wait(peer.session.open("request"));
  const list = { region: "global", cursor: new Uint8Array(0), limit: LIST_ITEMS_MAX };
  const frames = Array.from(
    { length: lists },
    (_, index) => requestFrame(index + 1, "listAgentsByRegion", list, { timeoutMs }),
  );
  await harness.world.wait(stream.write(concatBytes([...busy(), ...frames])));
  return { harness, writer, stream, frames };
}

test("a peer that does not read is not given more than a bounded backlog, and then everything", async () => {
  // 100 MB if all were answered.
  const { harness, writer, stream, frames } = await listsWanted(2_000, 250, 60_000);
  await harness.world.settle();
  const listId = OPERATIONS.listAgentsByRegion.id;
  const answered = () => harness.counts.get(`${listId} ok`) ?? 0;
  const pageBytes = 400_000;
  const bytesMax = 1_250_000 + 3 * (REPLY_BACKLOG_BYTES_HIGH + RESPONSE_FRAME_BYTES_MAX);
  assert.ok(answered() >= 2 && answered() * pageBytes < bytesMax, `${answered()} pages`);
  assert.ok(bytesMax < REPLY_BACKLOG_BYTES_MAX);
  await harness.world.pass(1_000);
  assert.ok(answered() * pageBytes < bytesMax, "waiting brings no more");
  assert.is((await writer.ask("getAgent", GET)).code, "ok", "others are served meanwhile");

  const ids: number[] = [];
  const assembler = new FrameAssembler({ frameBytesMax: RESPONSE_FRAME_BYTES_MAX, segmentsMax: 1 });
  while (ids.length < frames.length) {
    const chunk = await harness.world.wait(stream.read(new Uint8Array(256 * 1024)));
    assembler.push(chunk!, (view, bytes, start, end) => {
      const response = responseCodec.newView().wrap(view, bytes, start + 8, end);
      if (response.id === 0) return;
      assert.is(response.code, 0);
      ids.push(response.id);
    });
  }
  assert.equal(ids, frames.map((_, index) => index + 1), "all are answered, in their order");
});

test("a request that waited too long for its peer to read is answered deadline_exceeded", async () => {
  const { harness, stream } = await listsWanted(1_000, 40, 500);
  await harness.world.pass(600);
  const late = `${OPERATIONS.listAgentsByRegion.id} deadline_exceeded`;
  assert.is(harness.counts.get(late), undefined);
  for (let chunk = 0; chunk < 400 && (harness.counts.get(late) ?? 0) < 10; chunk++) {
    await harness.world.wait(stream.read(new Uint8Array(64 * 1024)));
  }
  assert.ok((harness.counts.get(late) ?? 0) >= 10, "what nobody waits for is not worked on");
});

test("replies to writes that outgrow the backlog of a peer that does not read cost it its stream", async () => {
  // Exceeding the largest limit of a node takes ten seconds.
  const streamRepliesMax = 1024 * 1024;
  const harness = await RegistryHarness.open({ budgetLimits: { streamRepliesMax } });
  const peer = await harness.unauthenticated();
  await harness.world.wait(peer.control.write(helloFrame()));
  const stream = await harness.world.wait(peer.session.open("request"));
  // Replies of some 49 KB each, all given in one turn: more than 2 MB.
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  const good = { ...agentRequest({ number: 1, sequence: 1 }), kind: 1 };
  const bad = { record: new Uint8Array(0), expected: NO_POSITION, kind: 9 };
  const items = [good, ...new Array(REGISTER_ITEMS_MAX - 1).fill(bad)];
  const frame = requestFrame(1, "registerMany", { items }, { timeoutMs: 60_000 });
  for (let count = 0; count < 60; count++) {
    stream.write(frame).catch(() => {});
    if (count % 50 === 0) await harness.world.settle();
  }
  await harness.world.settle();
  harness.disk.intercept = () => undefined;
  harness.disk.releaseHeld();
  await harness.world.settle();
  await served(await harness.peer());
  let over = false;
  for (let reads = 0; reads < 5_000 && !over; reads++) {
    over = await harness.world.wait(stream.read(new Uint8Array(256 * 1024)))
      .then((chunk) => chunk === undefined);
  }
  assert.ok(over, "its stream ended");
  assert.is(harness.listener.stats.streams, 2, "the first streams of both sessions are left");
});

test("a caller above its rate is overloaded, others are not, and it comes back in time", async () => {
  const harness = await RegistryHarness.open({ rate: { requestsPerSecond: 100, burst: 50 } });
  const greedy = await harness.peer();
  const modest = await harness.peer();
  const answers = Array.from({ length: 80 }, () => greedy.send("getAgent", GET));
  const codes: string[] = [];
  let retryAfterMs = 0;
  for (const answer of answers) {
    const { code, response } = await harness.world.wait(answer);
    codes.push(code);
    retryAfterMs = Math.max(retryAfterMs, response.retryAfterMs);
  }
  assert.is(codes.filter((code) => code === "not_found").length, 50);
  assert.is(codes.filter((code) => code === "overloaded").length, 30);
  assert.is((await modest.ask("getAgent", GET)).code, "not_found");
  await harness.world.pass(retryAfterMs);
  assert.is((await greedy.ask("getAgent", GET)).code, "not_found");
  // Many items in one request cost as much.
  const items = new Array(500).fill({ id: idOf(1), incarnation: NO_POSITION, kind: 1 });
  assert.is((await modest.ask("renew", { items })).code, "ok");
  assert.is((await modest.ask("getAgent", GET)).code, "overloaded");
});

test("limit of records: new ones are refused, also in batches, renewals and changes are not", async () => {
  const harness = await RegistryHarness.open({ recordsMax: 10 });
  const peer = await harness.peer();
  const items = Array.from(
    { length: 40 },
    (_, index) => ({ ...agentRequest({ number: index + 1 }), kind: 1 }),
  );
  const { items: outcomes } = await peer.must("registerMany", { items });
  const codes: number[] = outcomes.map(({ code }: { code: number }) => code);
  assert.is(codes.filter((code) => code === 0).length, 10);
  assert.is(codes.filter((code) => code === 16).length, 30);
  assert.is(harness.registry.shared.counts.records[KIND_AGENT]!, 10);
  const { incarnation, id } = outcomes[0]!;
  assert.is((await peer.must("renew", { items: [{ id, incarnation, kind: 1 }] })).renewed, 1);
  assert.is((await peer.ask("registerAgent", agentRequest({ number: 1, sequence: 2 }))).code, "ok");
  assert.is((await peer.ask("registerGateway", gatewayRequest({ number: 1 }))).code, "overloaded");
  const request = { id, incarnation, process: 11, sequence: 3, withAgents: false };
  await peer.must("deregisterAgent", request);
  assert.is((await peer.ask("registerGateway", gatewayRequest({ number: 1 }))).code, "ok");
  // Refused ones leave nothing behind that counts.
  assert.is((await peer.ask("registerGateway", gatewayRequest({ number: 2 }))).code, "overloaded");
});

test("limit of records: an agent keeps its domain and gets no further one", async () => {
  const harness = await RegistryHarness.open({ recordsMax: 2 });
  const peer = await harness.peer();
  const said = async (domain: string, sequence: number) =>
    (await peer.ask("registerAgent", agentRequest({ number: 1, domain, sequence }))).code;
  assert.is(await said("a1.example", 1), "ok");
  assert.is(await said("a1.example", 2), "ok");
  // Every change of domain leaves an alias behind until it is cleaned up.
  assert.is(await said("a2.example", 3), "overloaded");
  assert.is(harness.registry.shared.counts.aliases, 1);
  assert.is(await said("a1.example", 4), "ok");
});

test("a region beyond the limit of regions is overloaded until another one is empty", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const { incarnation } = await peer.must("registerAgent", agentRequest({ number: 1 }));
  const { regions } = harness.registry.shared;
  for (let number = 1; number < REGIONS_INTERNED_MAX; number++) {
    const name = new TextEncoder().encode(`r${number}`);
    regions.add(KIND_GATEWAY, regions.intern(name, 0, name.length), 1);
  }
  const late = { number: 2, region: "late" };
  const refused = await peer.ask("registerAgent", agentRequest(late));
  assert.is(refused.code, "overloaded");
  assert.match(refused.response.message, `${REGIONS_INTERNED_MAX} regions`);
  // Existing records are renewed, with new content too, and regions in use accept more.
  const items = [{ id: idOf(1), incarnation, kind: 1 }];
  assert.is((await peer.must("renew", { items })).renewed, 1);
  assert.is((await peer.ask("registerAgent", agentRequest({ number: 1, sequence: 2 }))).code, "ok");
  assert.is((await peer.ask("registerAgent", agentRequest({ number: 3 }))).code, "ok");
  regions.add(KIND_GATEWAY, 2, -1);
  assert.is((await peer.ask("registerAgent", agentRequest(late))).code, "ok");
  const list = { region: "late", cursor: new Uint8Array(0), limit: 9 };
  assert.is((await peer.must("listAgentsByRegion", list)).items.length, 1);
});

test("above the ceiling of memory renewals pass and new records do not", async () => {
  const harness = await RegistryHarness.open({ memoryBytesMax: 2 ** 28 });
  const peer = await harness.peer();
  const { incarnation } = await peer.must("registerAgent", agentRequest({ number: 1 }));
  harness.memoryBytes = 2 ** 28 + 1;
  const refused = await peer.ask("registerAgent", agentRequest({ number: 2 }));
  assert.is(refused.code, "overloaded");
  assert.ok(refused.response.retryAfterMs > 0);
  const items = [{ id: idOf(1), incarnation, kind: 1 }];
  assert.is((await peer.must("renew", { items })).renewed, 1);
  assert.is((await peer.ask("getAgent", GET)).code, "ok");
  harness.memoryBytes = 0;
  assert.is((await peer.ask("registerAgent", agentRequest({ number: 2 }))).code, "ok");
});

test("bytes in pieces of any size are the same requests", async () => {
  const harness = await RegistryHarness.open();
  const frames = Array.from({ length: 12 }, (_, index) => requestFrame(index + 1, "getAgent", GET));
  const bytes = concatBytes(frames);
  const entropy = new SeededEntropy(9);
  for (let round = 0; round < 12; round++) {
    const peer = await harness.peer();
    for (let at = 0; at < bytes.length;) {
      const size = round === 0 ? 1 : 1 + Math.floor(entropy.unit() * 200);
      peer.write(bytes.slice(at, at + size));
      at += size;
      if (entropy.unit() < 0.5) await harness.world.settle();
    }
    await harness.world.settle();
    assert.equal(
      peer.replies.map(({ response }) => response.id),
      frames.map((_, index) => index + 1),
    );
    peer.session.abort("done");
  }
});

function helloFrame(): Uint8Array {
  return controlFrame({ kind: "hello", hello: GOOD_HELLO });
}

test.run();
