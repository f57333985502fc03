/** Successful runs of `registry-auth/1`, and its machine's handling of bytes, time and replies. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { handshakeFailure } from "../../../../identity/registry_auth/mod.ts";
import { concatBytes } from "../../../../src/base/bytes.ts";
import {
  AUTHORITY,
  clientEnd,
  contentOf,
  type End,
  exchange,
  filled,
  NOT_AFTER_MS,
  outcome,
  Realm,
  resultOf,
  serverEnd,
  tlsLeaf,
  verifyRaw,
  work,
} from "../../../support/auth_realm.ts";

function ends() {
  const realm = new Realm();
  const server = realm.enrol("node", 1);
  const client = realm.enrol("gateway", 2);
  return { realm, server, client };
}

test("handshake proves both ends to each other in four frames", () => {
  const { realm, server, client } = ends();
  realm.admittance = { expiresAtMs: NOT_AFTER_MS - 5, token: "a.b.c" };
  const near = clientEnd(realm, client, server);
  const far = serverEnd(realm, server);
  const frames = exchange(near, far);
  assert.equal(frames.map((frame) => frame[0]), [1, 2, 3, 4]);
  assert.equal(resultOf(near), {
    peer: server.identity,
    pinned: true,
    expiresAtMs: NOT_AFTER_MS - 5,
    sessionMsMax: 3_600_000,
    token: "a.b.c",
    tlsLeaves: { current: tlsLeaf(server, "current"), next: tlsLeaf(server, "next") },
  });
  assert.equal(resultOf(far).peer, client.identity);
  assert.is(resultOf(far).pinned, true);
  assert.is(resultOf(far).expiresAtMs, NOT_AFTER_MS - 5);
});

test("handshake takes its frames whole, byte by byte and split at every offset", () => {
  const { realm, server, client } = ends();
  const whole = exchange(clientEnd(realm, client, server), serverEnd(realm, server));
  const chunkings: ((frame: Uint8Array) => Uint8Array[])[] = [
    (frame) => Array.from(frame, (byte) => Uint8Array.of(byte)),
  ];
  for (let at = 0; at <= Math.max(...whole.map((frame) => frame.length)); at++) {
    chunkings.push((frame) => [frame.slice(0, at), frame.slice(at)]);
  }
  for (const chunks of chunkings) {
    const near = clientEnd(realm, client, server);
    const far = serverEnd(realm, server);
    for (let [from, to] = [near, far];; [from, to] = [to, from]) {
      const sent = work(from);
      if (sent.length === 0) break;
      for (const frame of sent) {
        for (const chunk of chunks(frame)) to.handshake.receive(chunk, 0);
      }
    }
    assert.is(outcome(near), "done");
    assert.is(outcome(far), "done");
  }
});

test("handshake signs 64 spaces, its context, a zero and the hash of the frames before", () => {
  const { realm, server, client } = ends();
  const [m1, m2, m3, m4] = exchange(clientEnd(realm, client, server), serverEnd(realm, server));
  const unsigned = (frame: Uint8Array) => frame.subarray(0, frame.length - 64);
  const check = (context: "server-hello" | "client" | "server-done", parts: Uint8Array[]) => {
    const last = parts.at(-1)!;
    const member = context === "client" ? client : server;
    const transcript = concatBytes([...parts.slice(0, -1), unsigned(last)]);
    const content = contentOf({ context, transcript });
    assert.ok(verifyRaw(member.identity.publicKey, content, last.subarray(-64)), context);
  };
  check("server-hello", [m1!, m2!]);
  check("client", [m1!, m2!, m3!]);
  check("server-done", [m1!, m2!, m3!, m4!]);
});

test("handshake without a pin is marked, and gets no token unless policy says so", () => {
  const { realm, server, client } = ends();
  realm.admittance = { expiresAtMs: NOT_AFTER_MS, token: "a.b.c" };
  for (const unpinnedTokens of [false, true]) {
    const near = clientEnd(realm, client, undefined);
    const far = serverEnd(realm, server, { unpinnedTokens });
    exchange(near, far);
    assert.is(resultOf(near).pinned, false);
    assert.is(resultOf(far).pinned, false);
    assert.is(resultOf(near).token, unpinnedTokens ? "a.b.c" : undefined);
  }
});

test("handshake over a channel made just before a rotation names the leaf of that channel", () => {
  const { realm, server, client } = ends();
  const [previous, current, next] = [filled(1), filled(2), filled(3)];
  const tlsLeaves = { previous, current, next };
  const near = clientEnd(realm, client, server, { pin: previous });
  exchange(near, serverEnd(realm, server, { tlsLeaves }));
  assert.equal(resultOf(near).tlsLeaves, { current: previous, next: current });
  const early = serverEnd(realm, server, { tlsLeaves });
  exchange(clientEnd(realm, client, server, { pin: next }), early);
  assert.is(outcome(early), "pin", "a leaf that is still to come cannot have been seen");
});

test("handshake ends the session with the earliest of leaf, token and what the server grants", () => {
  const { realm, server, client } = ends();
  const endsAt = (grantedMs: number, ownMs: number) => {
    realm.admittance = { expiresAtMs: grantedMs };
    const { subject, subjectId } = server.identity;
    const own = { subject, subjectId, notAfterMs: ownMs, chain: server.chain };
    const near = clientEnd(realm, client, server);
    const far = serverEnd(realm, server, { own });
    exchange(near, far);
    assert.is(resultOf(near).expiresAtMs, resultOf(far).expiresAtMs);
    return resultOf(far).expiresAtMs;
  };
  assert.is(endsAt(NOT_AFTER_MS - 1, NOT_AFTER_MS), NOT_AFTER_MS - 1);
  assert.is(endsAt(NOT_AFTER_MS + 9, NOT_AFTER_MS), NOT_AFTER_MS);
  assert.is(endsAt(NOT_AFTER_MS, NOT_AFTER_MS - 2), NOT_AFTER_MS - 2);
});

test("handshake fails each stage that takes too long, at either end and at every step", () => {
  const { realm, server, client } = ends();
  const kinds = {
    client: ["send", "receive", "authenticate", "sign", "verify"],
    server: ["receive", "sign", "send", "authenticate", "admit"],
  };
  for (const side of ["client", "server"] as const) {
    for (const kind of kinds[side]) {
      const near = clientEnd(realm, client, server);
      const far = serverEnd(realm, server);
      const { handshake } = side === "client" ? near : far;
      stepUntil(near, far, () => handshake.step.kind === kind);
      assert.is(handshake.tick(2_999).kind, kind, "within the stage nothing changes");
      const failed = handshake.tick(3_000);
      assert.is(failed.kind === "failed" && failed.failure.code, "deadline_exceeded");
      assert.is(handshake.deadlineMs, Infinity);
      assert.is(handshake.receive(Uint8Array.of(1), 3_000), failed, "it stays failed");
      assert.is(handshake.complete("sign", filled(0, 64), 3_000), failed);
    }
  }
});

/** Alternates single steps of both ends until `reached`. */
function stepUntil(near: End, far: End, reached: () => boolean): void {
  const peers: [End, End][] = [[near, far], [far, near]];
  for (let moved = true; moved && !reached();) {
    moved = false;
    for (const [end, peer] of peers) {
      if (reached()) return;
      if (end.handshake.over || end.handshake.step.kind === "receive") continue;
      moved = true;
      for (const frame of workOnce(end)) peer.handshake.receive(frame, 0);
    }
  }
  assert.ok(reached(), "the step was reached");
}

function workOnce(end: End): Uint8Array[] {
  const { step } = end.handshake;
  if (step.kind === "send") {
    end.handshake.complete("send", undefined, 0);
    return [step.bytes];
  }
  if (step.kind === "sign") {
    end.handshake.complete("sign", end.member.sign(contentOf(step.signing)), 0);
  } else if (step.kind === "authenticate") {
    const verdict = end.realm.judge(step.authentication.end, step.authentication.chain);
    end.handshake.complete("authenticate", verdict, 0);
  } else if (step.kind === "admit") {
    end.handshake.complete("admit", end.realm.admit(step.candidate), 0);
  } else if (step.kind === "verify") end.handshake.complete("verify", true, 0);
  return [];
}

test("handshake's stage is not lengthened by bytes that drip in", () => {
  const { realm, server, client } = ends();
  const [m1] = work(clientEnd(realm, client, server));
  const far = serverEnd(realm, server);
  let nowMs = 0;
  for (const byte of m1!.subarray(0, 60)) far.handshake.receive(Uint8Array.of(byte), nowMs += 50);
  assert.is(outcome(far), "deadline");
  assert.is(nowMs, 3_000);
});

test("handshake refuses an answer that is late, and one to another step is a bug", () => {
  const { realm, server, client } = ends();
  const far = serverEnd(realm, server);
  far.handshake.receive(work(clientEnd(realm, client, server))[0]!, 0);
  assert.is(far.handshake.step.kind, "sign");
  assert.throws(() => far.handshake.complete("verify", true, 0), /The step is sign/);
  assert.throws(() => far.handshake.complete("sign", filled(0, 63), 0), /64 bytes/);
  const other = serverEnd(realm, server);
  other.handshake.receive(work(clientEnd(realm, client, server))[0]!, 0);
  other.handshake.complete("sign", filled(0, 64), 3_000);
  assert.is(outcome(other), "deadline");
});

test("handshake that its owner abandons fails once, with the owner's reason", () => {
  const { realm, server } = ends();
  const { handshake } = serverEnd(realm, server);
  const failed = handshake.abandon("overloaded", "too many");
  assert.equal(failed, { kind: "failed", failure: handshakeFailure("overloaded", "too many") });
  assert.is(handshake.abandon("internal", "later"), failed);
});

test("serverProtocol takes a client that names no server, and one that names an authority of several", () => {
  const { realm, server, client } = ends();
  const near = clientEnd(realm, client, server, { serverId: undefined, authority: "[::1]:4433" });
  const far = serverEnd(realm, server, { authorities: new Set([AUTHORITY, "[::1]:4433"]) });
  exchange(near, far);
  assert.is(outcome(near), "done");
});

test.run();
