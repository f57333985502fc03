/**
 * A member of a real cluster that lies, over real QUIC to a node in a process of its own: nothing
 * changes, all is counted, the node lives on, and its memory stays bounded.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { peerImageCodec } from "../../schemas/gen/peer.ts";
import { responseCodec } from "../../schemas/gen/wire.ts";
import { FrameWriter } from "../../schemas/runtime.ts";
import { errorCodeFromWire } from "../../src/base/errors.ts";
import { groupId } from "../../src/base/ids.ts";
import { PEER_REQUEST_STREAMS_MAX, RESPONSE_FRAME_BYTES_MAX } from "../../src/base/limits.ts";
import { EMPTY_DATA, type Message, newMessage } from "../../src/raft/mod.ts";
import { FrameAssembler } from "../../src/wire/frame_assembler.ts";
import { encodePeerFrame } from "../../src/wire/peer_frame.ts";
import type { OperationName } from "../../src/wire/operations/mod.ts";
import type { Stream } from "../../transport/transport.ts";
import { imageChunk } from "../support/image_chunk.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { type CrsProcess, startCrs, type StartedNode } from "../support/crs_process.ts";
import { HostileNode, type HostileSession } from "../support/hostile_node.ts";
import { requestFrame } from "../support/raw_peer.ts";
import { until } from "../support/until.ts";

const folder = await Deno.makeTempDir();
const PARTITIONS = 16;
const MIB = 1024 * 1024;
/** Growth of the node's memory under all attacks. */
const MEMORY_BYTES_MAX = 96 * MIB;
const LAST_TERM = Number.MAX_SAFE_INTEGER;
/** A group that a cluster can have, and this one has not. */
const UNKNOWN_GROUP = 8_192;

let victim: { process: CrsProcess; node: StartedNode };
let liar: HostileNode;
let link: HostileSession;

test.before(async () => {
  const flags = [
    ...["--node-ca", `${folder}/node-ca`, "--partitions", String(PARTITIONS)],
    ...["--zone", "a", "--found", "--log-level", "error"],
  ];
  victim = await startCrs(`${folder}/1`, { flags });
  liar = await HostileNode.join({
    first: `${folder}/1`,
    nodeCa: `${folder}/node-ca`,
    own: `${folder}/liar`,
    partitionCount: PARTITIONS,
    zone: "b",
  });
  link = await liar.session();
});

test.after(async () => {
  await liar?.close();
  victim?.process.kill("SIGTERM");
  await victim?.process.ended();
  await Deno.remove(folder, { recursive: true });
});

/** The samples of a family of metrics at the node, by their labels. */
async function metrics(family: string): Promise<Map<string, number>> {
  const { host, port } = victim.node.ops;
  const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
  const found = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, labels = "", value = ""] = /^(?:\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (line.startsWith(`${family}{`) || line.startsWith(`${family} `)) {
      found.set(labels, Number(value));
    }
  }
  return found;
}

/** The refused input of the liar, by reason. */
async function rejected(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const [labels, count] of await metrics("crs_peer_rejected_total")) {
    counts[/reason="(\w+)"/.exec(labels)?.[1] ?? ""] = count;
  }
  return counts;
}

/** Waits until the node has refused that many more inputs for a reason. */
async function untilRejected(reason: string, before: Record<string, number>, more: number) {
  await until(
    `${more} more refused as ${reason}`,
    async () => ((await rejected())[reason] ?? 0) >= (before[reason] ?? 0) + more,
    15_000,
  );
}

/** State that must not change: members, leaders and terms, as the node sees them. */
async function state(): Promise<unknown> {
  const { code, stdout, stderr } = await crsInProcess([
    ...["cluster", "status", "--data", `${folder}/1`, "--json"],
  ]);
  assert.ok(code === 0 || code === 4, stderr);
  const { clusterId, group0, nodes } = JSON.parse(stdout);
  const members = nodes.map(({ nodeId, zone }: { nodeId: number; zone: string }) => [nodeId, zone]);
  return { clusterId, group0: { ...group0, applied: 0 }, members };
}

/** The port of the node for other nodes, and its resident memory. */
async function facts(): Promise<{ readonly peerPort: number; readonly memoryBytes: number }> {
  const { stdout } = await crsInProcess(["cluster", "status", "--data", `${folder}/1`, "--json"]);
  const [{ addresses }] = JSON.parse(stdout).nodes;
  const peer = addresses.find(({ transport }: { transport: string }) => transport === "peer");
  const memory = await metrics("process_resident_memory_bytes");
  return { peerPort: peer.port, memoryBytes: memory.get("") ?? 0 };
}

/** Registers and reads a record: the node serves. */
async function serves(): Promise<void> {
  const of = ["--data", `${folder}/1`, "--json"];
  const id = crypto.randomUUID();
  const gateway = ["--id", id, "--region", "global", "--address", "192.0.2.1", "--port", "4000"];
  const made = await crsInProcess(["gateway", "register", ...gateway, "--ttl", "10m", ...of]);
  assert.is(made.code, 0, made.stderr);
  assert.is((await crsInProcess(["gateway", "get", id, ...of])).code, 0);
}

function frame(message: Message, group: number): Uint8Array {
  const messages = [{ groupId: groupId(group), fortifies: false, message }];
  return encodePeerFrame({ run: 1, supports: 0, beat: undefined, messages });
}

/** A message of the liar's replica of group 0 to the founder's. */
function lie(type: Message["type"], fields: Partial<Message>): Message {
  return { ...newMessage(type, 1), from: liar.replica, ...fields };
}

test("junk, others' replicas, unknown groups and the last term are refused and counted", async () => {
  const [before, counts] = [await state(), await rejected()];
  const junk = new Uint8Array(64).fill(0xee);
  new DataView(junk.buffer).setUint32(0, 0, true);
  new DataView(junk.buffer).setUint32(4, 7, true);
  const sent: [string, Uint8Array][] = [
    ["malformed", junk],
    ["term_too_far", frame(lie("heartbeat", { term: LAST_TERM }), 0)],
    ["term_too_far", frame(lie("vote", { term: LAST_TERM, index: LAST_TERM, logTerm: 9 }), 0)],
    ["term_too_far", frame(lie("append_reply", { term: LAST_TERM, index: LAST_TERM }), 0)],
    // Replica 1 is the node's own, and replica 777 nobody's.
    ["unknown_peer", frame({ ...newMessage("heartbeat", 1), from: 1, term: 2 }, 0)],
    ["unknown_peer", frame({ ...newMessage("append", 1), from: 777, term: 2 }, 0)],
    ["unknown_group", frame(lie("heartbeat", { term: 2 }), UNKNOWN_GROUP)],
  ];
  for (const [, bytes] of sent) await link.frames.write(bytes);
  for (const reason of new Set(sent.map(([reason]) => reason))) {
    await untilRejected(reason, counts, sent.filter(([other]) => other === reason).length);
  }
  assert.equal(await state(), before);
  await serves();
});

test("numbers that are impossible in any field of a message change nothing", async () => {
  const before = await state();
  const entries = [{ index: 1, term: 1, kind: "normal", data: EMPTY_DATA }] as const;
  const fields = { term: 1, index: 0, logTerm: 0, entries: [...entries] };
  for (const type of ["append_reply", "heartbeat_reply", "vote_reply", "read_index"] as const) {
    const whole = frame(lie(type, fields), 0);
    for (let at = 8; at < whole.length; at += 8) {
      for (const word of [0xffff_ffff_ffff_ffffn, 0x001f_ffff_ffff_ffffn, 1n << 63n]) {
        const bytes = whole.slice();
        new DataView(bytes.buffer).setBigUint64(at, word, true);
        await link.frames.write(bytes);
      }
    }
  }
  await serves();
  assert.equal(await state(), before);
});

test("a member that claims to lead, in this term or the next, is believed for a moment at most", async () => {
  const { group0: { term } } = await state() as { group0: { term: number } };
  for (const claimed of [term, term + 1]) {
    await link.frames.write(frame(lie("heartbeat", { term: claimed }), 0));
    await link.frames.write(frame(lie("append", { term: claimed, index: 1, logTerm: 1 }), 0));
    await serves();
  }
  await until("the founder leads again", async () => {
    const { group0 } = await state() as { group0: { leader: number } };
    return group0.leader === 1;
  }, 15_000);
});

test("images that lie about length and group are refused, and cost no memory", async () => {
  const counts = await rejected();
  const image = (bytes: number, header: Uint8Array) => {
    const out = new FrameWriter({ bytesMax: 4_096 });
    peerImageCodec.write(out, { bytes, header, number: 1 });
    return out.written.slice();
  };
  const send = async (start: Uint8Array, body: Uint8Array) => {
    const stream = await link.session.open("bulk");
    await stream.write(start);
    await stream.write(imageChunk(body));
    return stream;
  };
  const header = frame(lie("heartbeat", { term: 2 }), 0);
  await send(image(2 ** 40, header), new Uint8Array(8));
  await untilRejected("image_too_large", counts, 1);
  for (let round = 0; round < 3; round++) {
    const stream = await send(image(900 * MIB, header), new Uint8Array(1_000));
    stream.abort();
  }
  await untilRejected("image_connection_lost", counts, 3);
  const refused = await rejected();
  // Whole, but its header is no snapshot, is of an unknown group, or is junk.
  await send(image(4, header), new Uint8Array(4));
  await send(image(4, frame(lie("snapshot", { term: 2 }), UNKNOWN_GROUP)), new Uint8Array(4));
  await send(image(4, new Uint8Array(64).fill(0xff)), new Uint8Array(4));
  await untilRejected("malformed", refused, 2);
  await serves();
});

/** The code of the first reply on a stream; "closed" if the stream ends instead. */
async function codeOfReply(stream: Stream): Promise<string> {
  const assembler = new FrameAssembler({ frameBytesMax: RESPONSE_FRAME_BYTES_MAX, segmentsMax: 1 });
  let code: string | undefined;
  while (code === undefined) {
    const chunk = await stream.read(new Uint8Array(4_096));
    if (chunk === undefined) return "closed";
    assembler.push(chunk, (view, bytes, start, end) => {
      const wire = responseCodec.newView().wrap(view, bytes, start + 8, end).code;
      code ??= wire === 0 ? "ok" : errorCodeFromWire(wire);
    });
  }
  return code;
}

/** Sends a request on a stream of operations between nodes and returns the code of its reply. */
async function asked<Name extends OperationName>(
  name: Name,
  body: Parameters<typeof requestFrame<Name>>[2],
  changed: (frame: Uint8Array) => void = () => {},
): Promise<string> {
  const stream = await link.session.open("request");
  const bytes = requestFrame(1, name, body, { timeoutMs: 5_000 });
  changed(bytes);
  await stream.write(bytes);
  const code = await codeOfReply(stream);
  stream.abort();
  return code;
}

test("operations for another node are refused, and no step takes a domain from its agent", async () => {
  const of = ["--data", `${folder}/1`, "--json"];
  const domain = "held.example";
  const held = ["--domain", domain, "--region", "global", "--ttl", "10m"];
  const made = await crsInProcess(["agent", "register", ...held, ...of]);
  assert.is(made.code, 0, made.stderr);
  const before = await state();
  const { addresses } = victim.node;
  const folderId = crypto.getRandomValues(new Uint8Array(16));
  const description = {
    ...{
      nodeId: 1,
      partitionCount: PARTITIONS,
      applyVersionMax: 1,
      folderId,
      program: "",
      isStandby: false,
    },
    ...{ clusterId: liar.clusterId, region: "global", zone: "c", host: "" },
    addresses: addresses.map(({ host, port }) => ({ transport: "quic", host, port })),
    pin: new Uint8Array(32).fill(1),
    nextPin: new Uint8Array(32).fill(2),
  };
  assert.is(await asked("joinCluster", description), "permission_denied");
  assert.is(await asked("removeMember", { nodeId: 1 }), "permission_denied");
  const unknown = (bytes: Uint8Array) => new DataView(bytes.buffer).setUint16(40, 0x7fff, true);
  assert.is(await asked("systemReadPoint", {}, unknown), "unknown_operation");
  // The liar may hold the agent's partition, so the steps themselves must do no harm.
  const agentId = crypto.getRandomValues(new Uint8Array(16));
  const claim = { generation: 1, index: 5 };
  const by = { lineage: 0, subject: "", token: "" };
  await asked("confirmClaim", { agentId, claim, domain });
  await asked("releaseDomain", { agentId, claim, domain });
  await asked("claimDomain", { agentId, domain, replaces: claim, ...by });
  const resolved = await crsInProcess(["agent", "resolve", domain, ...of]);
  assert.is(JSON.parse(resolved.stdout).agent.id, JSON.parse(made.stdout).id, resolved.stderr);
  assert.equal(await state(), before);
});

test("a flood of request streams is cut at its limit", async () => {
  const counts = await rejected();
  const opened: Stream[] = [];
  for (let count = 0; count < PEER_REQUEST_STREAMS_MAX + 8; count++) {
    const stream = await link.session.open("request");
    await stream.write(requestFrame(count + 1, "systemReadPoint", {}));
    opened.push(stream);
  }
  await untilRejected("unexpected_stream", counts, 8);
  for (const stream of opened) stream.abort();
  await serves();
});

test("port for nodes: only members are heard, and a member waits to be dialed", async () => {
  const { peerPort } = await facts();
  assert.match(await liar.dialAs(99, peerPort), /no member of the cluster/);
  assert.match(await liar.dialAs(2, peerPort), /must wait until node 1 dials/);
  await serves();
});

test("node after all attacks: its memory is bounded, and a hello of another cluster ends the link", async () => {
  const { memoryBytes } = await facts();
  assert.ok(memoryBytes < 120 * MIB + MEMORY_BYTES_MAX, `${memoryBytes / MIB} MiB`);
  const counts = await rejected();
  link.session.abort("again");
  const other = liar.session({ clusterId: new Uint8Array(16).fill(9) });
  await other.then(() => assert.unreachable("it must be refused"), (error) => {
    assert.match(String(error), /cluster/);
  });
  await untilRejected("wrong_cluster", counts, 1);
  await serves();
});

test.run();
