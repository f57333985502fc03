/**
 * Whole sessions with invalid input: random bytes, and requests with some bytes changed, truncated
 * or repeated. In all cases each request is answered or its session ends orderly, nothing else is
 * thrown, and other sessions are served as before.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { NO_POSITION } from "../../src/base/position.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import { type RawPeer, requestFrame } from "../support/raw_peer.ts";
import { agentRequest, gatewayRequest, RegistryHarness } from "../support/registry_harness.ts";
import { idOf } from "../support/store.ts";

const ROUNDS = 250;

function below(entropy: SeededEntropy, limit: number): number {
  return Math.floor(entropy.unit() * limit);
}

/** One request of every operation. */
function frames(number: number): Uint8Array[] {
  const id = idOf(number);
  const region = { region: "global", cursor: new Uint8Array(0), limit: 5 };
  const incarnation = { generation: 1, index: 2 };
  const used = { cpu: 0, memoryMiB: 0, storageMiB: 0, bandwidthMbps: 0, connections: 0 };
  const agent = agentRequest({ number, domain: `d${number}.example`, gatewayId: id });
  const gateway = gatewayRequest({ number, domain: "g.example" });
  return [
    requestFrame(1, "getAgent", { id }),
    requestFrame(2, "getGateway", { id }),
    requestFrame(3, "resolveAgent", { domain: `d${number}.example` }),
    requestFrame(4, "resolveAgents", { domains: ["a.example", `d${number}.example`] }),
    requestFrame(5, "resolveGateways", { region: "global", limit: 4, cursor: new Uint8Array(0) }),
    requestFrame(6, "listAgentsByRegion", region),
    requestFrame(7, "listGatewaysByRegion", region),
    requestFrame(8, "registerAgent", agent),
    requestFrame(9, "registerGateway", gateway),
    requestFrame(10, "registerMany", {
      items: [{ ...agent, kind: 1 }, { ...gateway, kind: 2 }, {
        ...agent,
        expected: NO_POSITION,
        kind: 3,
      }],
    }),
    requestFrame(11, "renew", { items: [{ id, incarnation, kind: 1 }] }),
    requestFrame(12, "deregisterAgent", {
      id,
      incarnation,
      process: 11,
      sequence: 2,
      withAgents: false,
    }),
    requestFrame(13, "deregisterGateway", {
      id,
      incarnation,
      process: 11,
      sequence: 2,
      withAgents: true,
    }),
    requestFrame(14, "report", {
      id,
      incarnation,
      process: 11,
      sequence: 2,
      used,
      state: 1,
      setUsed: true,
      setState: true,
      kind: 2,
    }),
    requestFrame(15, "status", {}),
    requestFrame(16, "getRingMap", {}),
  ];
}

/**
 * Returns the same bytes with a few changed; the segment table is left alone, so that the frame is
 * complete.
 */
function mutated(entropy: SeededEntropy, frame: Uint8Array): Uint8Array {
  const bytes = frame.slice();
  for (let changes = 1 + below(entropy, 4); changes > 0; changes--) {
    const at = 8 + below(entropy, bytes.length - 8);
    bytes[at] = [0, 1, 0xff, below(entropy, 256), bytes[at]! ^ (1 << below(entropy, 8))][
      below(entropy, 5)
    ]!;
  }
  return bytes;
}

async function healthy(harness: RegistryHarness, bystander: RawPeer): Promise<void> {
  assert.is((await bystander.ask("getAgent", { id: idOf(0x7000_0000) })).code, "not_found");
  assert.equal(harness.errors, [], "no group broke an invariant");
  for (const { error } of harness.caught) {
    assert.instance(error, RegistryError);
    assert.not.equal((error as RegistryError).code, "internal");
  }
}

test("request stream: a whole frame with changed bytes is answered once, and the stream goes on", async () => {
  const entropy = new SeededEntropy(20);
  const harness = await RegistryHarness.open();
  const bystander = await harness.peer();
  const codes = new Set<string>();
  // On a stream that carries only requests, no mutation can produce a control frame.
  const begin = async () => {
    const peer = await harness.peer();
    await harness.world.wait(peer.openRequests());
    return peer;
  };
  let peer = await begin();
  for (let round = 0; round < ROUNDS; round++) {
    const sent = frames(1 + below(entropy, 5)).map((frame) => mutated(entropy, frame));
    const before = peer.replies.length;
    peer.write(concatBytes(sent));
    // Lists rest, and without time a rest never ends.
    await harness.world.pass(10);
    assert.is(peer.replies.length - before, sent.length, `round ${round}`);
    for (const { code } of peer.replies.slice(before)) codes.add(code);
    if (round % 50 === 0) {
      peer.session.abort("enough");
      peer = await begin();
      await healthy(harness, bystander);
    }
  }
  for (const code of ["ok", "malformed", "invalid_argument", "not_found", "unknown_operation"]) {
    assert.ok(codes.has(code), `${code} came up`);
  }
  assert.not.ok(codes.has("internal"), "no mutation is a bug of ours");
  await healthy(harness, bystander);
  await harness.restart();
  assert.equal(harness.errors, [], "what was logged can be applied again");
});

test("random bytes, cut and repeated frames end at most their own session", async () => {
  const entropy = new SeededEntropy(21);
  const harness = await RegistryHarness.open();
  const bystander = await harness.peer();
  let ended = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const peer = await harness.peer();
    const pool = frames(1 + below(entropy, 3));
    for (let piece = 0; piece < 6; piece++) {
      const frame = pool[below(entropy, pool.length)]!;
      const kind = below(entropy, 4);
      if (kind === 0) {
        const noise = new Uint8Array(1 + below(entropy, 300));
        entropy.fill(noise);
        peer.write(noise);
      } else if (kind === 1) peer.write(frame.slice(0, below(entropy, frame.length)).slice());
      else if (kind === 2) peer.write(frame.slice());
      else peer.write(mutated(entropy, frame));
      if (entropy.unit() < 0.3) await harness.world.settle();
    }
    await harness.world.settle();
    await harness.world.pass(100);
    if (peer.goodbye !== undefined) {
      ended++;
      assert.ok(["malformed", "too_large"].includes(peer.goodbye), peer.goodbye);
    }
    peer.session.abort("done");
    await harness.world.settle();
  }
  assert.ok(ended > ROUNDS / 4, `${ended} sessions ended`);
  assert.is(harness.sessions.count, 1);
  assert.is(harness.listener.stats.streams, 1);
  await healthy(harness, bystander);
});

test("random bytes on the control stream end their session and no other", async () => {
  const entropy = new SeededEntropy(22);
  const harness = await RegistryHarness.open();
  const bystander = await harness.peer();
  for (let round = 0; round < ROUNDS; round++) {
    const peer = round % 2 === 0 ? await harness.unauthenticated() : await harness.peer();
    const noise = new Uint8Array(1 + below(entropy, 100));
    entropy.fill(noise);
    // The node may have ended the session by then.
    peer.control.write(noise).catch(() => {});
    await harness.world.settle();
    peer.session.abort("done");
    await harness.world.settle();
  }
  assert.is(harness.sessions.count, 1);
  await healthy(harness, bystander);
});

test.run();
