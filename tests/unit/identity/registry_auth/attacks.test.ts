/**
 * Attacks on `registry-auth/1`, one test each. An attack may stop a handshake; it must never make
 * an end accept something false.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  decodeClientHello,
  encodeClientHello,
  encodeClientProof,
  withSignature,
} from "../../../../identity/registry_auth/frames.ts";
import { concatBytes } from "../../../../src/base/bytes.ts";
import {
  clientEnd,
  type End,
  exchange,
  filled,
  makeMember,
  NOT_AFTER_MS,
  outcome,
  Realm,
  resultOf,
  serverEnd,
  tlsLeaf,
  work,
} from "../../../support/auth_realm.ts";

function scene() {
  const realm = new Realm();
  return {
    realm,
    server: realm.enrol("node", 1),
    otherServer: realm.enrol("node", 3),
    client: realm.enrol("gateway", 2),
  };
}

/** Returns the frames of one successful handshake, with the usual nonces. */
function recorded({ realm, server, client }: ReturnType<typeof scene>): Uint8Array[] {
  return exchange(clientEnd(realm, client, server), serverEnd(realm, server));
}

function deliver(to: End, frame: Uint8Array): Uint8Array[] {
  to.handshake.receive(frame, 0);
  return work(to);
}

test("a replayed M1 brings the attacker nothing: without the key it has no M3", () => {
  const all = scene();
  const [m1, , m3] = recorded(all);
  const far = serverEnd(all.realm, all.server, { nonce: filled(0x77) });
  assert.is(deliver(far, m1!).length, 1);
  deliver(far, m3!);
  assert.is(outcome(far), "signature");
});

test("a replayed M2 is refused: it answers another nonce", () => {
  const all = scene();
  const [, m2] = recorded(all);
  const near = clientEnd(all.realm, all.client, all.server, { nonce: filled(0x78) });
  work(near);
  deliver(near, m2!);
  assert.is(outcome(near), "signature");
});

test("a replayed M3 is refused: it answers another server nonce", () => {
  const all = scene();
  const [, , m3] = recorded(all);
  const near = clientEnd(all.realm, all.client, all.server);
  const far = serverEnd(all.realm, all.server, { nonce: filled(0x79) });
  deliver(far, work(near)[0]!);
  deliver(far, m3!);
  assert.is(outcome(far), "signature");
});

test("a replayed M4 is refused: it belongs to another exchange", () => {
  const all = scene();
  const [, , , m4] = recorded(all);
  const near = clientEnd(all.realm, all.client, all.server);
  const far = serverEnd(all.realm, all.server, { nonce: filled(0x7a) });
  const [m1] = work(near);
  deliver(near, deliver(far, m1!)[0]!);
  deliver(near, m4!);
  assert.is(outcome(near), "signature");
});

test("relay by another legitimate server is refused where the client pinned its leaf", () => {
  const { realm, server, otherServer, client } = scene();
  // The client intends and reaches `otherServer`, which relays everything to `server`.
  const near = clientEnd(realm, client, otherServer, { serverId: undefined });
  const far = serverEnd(realm, server);
  exchange(near, far);
  assert.is(outcome(far), "pin");
  assert.is(outcome(near), "receive", "the client never answers");
});

test("relay is refused where the client names the server that it means", () => {
  const { realm, server, otherServer, client } = scene();
  const near = clientEnd(realm, client, undefined, { serverId: otherServer.identity.subjectId });
  const far = serverEnd(realm, server);
  exchange(near, far);
  assert.is(outcome(far), "server_id");
});

test("relay of a client without pin and name comes through, marked at both ends, without token", () => {
  const { realm, server, client } = scene();
  realm.admittance = { expiresAtMs: NOT_AFTER_MS, token: "a.b.c" };
  const near = clientEnd(realm, client, undefined);
  const far = serverEnd(realm, server);
  exchange(near, far);
  assert.is(resultOf(far).pinned, false);
  assert.is(resultOf(near).pinned, false);
  assert.is(resultOf(near).token, undefined);
});

test("a relay that takes the pin out of M1 is noticed by the client", () => {
  const { realm, server, otherServer, client } = scene();
  const near = clientEnd(realm, client, otherServer, { serverId: undefined });
  const far = serverEnd(realm, server);
  exchange(near, far, (frame, number) => {
    if (number !== 1) return frame;
    return encodeClientHello({ ...decodeClientHello(frame), pin: undefined });
  });
  assert.is(outcome(near), "pin");
});

test("a relay that sets its victim's leaf into M1 is noticed by the client's signature check", () => {
  const { realm, server, otherServer, client } = scene();
  const near = clientEnd(realm, client, otherServer, { serverId: undefined });
  const far = serverEnd(realm, server, {
    // Even if the victim claims the relay's leaf as its next one.
    tlsLeaves: { current: tlsLeaf(otherServer, "current") },
  });
  exchange(near, far, (frame, number) => {
    if (number !== 1) return frame;
    return encodeClientHello({ ...decodeClientHello(frame), nonce: filled(9) });
  });
  assert.is(outcome(near), "signature");
});

test("a server certificate of another authority is refused", () => {
  const { realm, client } = scene();
  const foreign = makeMember("node", 9);
  const near = clientEnd(realm, client, foreign);
  exchange(near, serverEnd(realm, foreign));
  assert.is(outcome(near), "certificate");
});

test("a certificate mis-issued for another node is refused where the client names its server", () => {
  const { realm, server, client } = scene();
  const misissued = realm.enrol("node", 8);
  const near = clientEnd(realm, client, misissued, { serverId: server.identity.subjectId });
  const [m1] = work(near);
  // The attacker answers M1 freely: it does not check that the client expects another server.
  const far = serverEnd(realm, misissued, {
    own: { ...misissued.identity, subjectId: server.identity.subjectId, chain: misissued.chain },
  });
  deliver(near, deliver(far, m1!)[0]!);
  assert.is(outcome(near), "server_id");
});

test("a client's certificate is never accepted as a server's", () => {
  const { realm, client } = scene();
  const impostor = realm.enrol("gateway", 7);
  const near = clientEnd(realm, client, impostor);
  exchange(near, serverEnd(realm, impostor));
  assert.is(outcome(near), "certificate");
  // Even with a judge that ignores the usage: the role is not that of a server.
  realm.judge = () => impostor.identity;
  const again = clientEnd(realm, client, impostor);
  exchange(again, serverEnd(realm, impostor));
  assert.is(outcome(again), "role");
});

test("a downgrade of the version is refused by the server, and by the client", () => {
  const { realm, server, client } = scene();
  for (const version of [0, 2, 255]) {
    const far = serverEnd(realm, server);
    exchange(clientEnd(realm, client, server), far, (frame, number) => {
      if (number === 1) frame = frame.with(4, version);
      return frame;
    });
    assert.is(outcome(far), "version");
    const near = clientEnd(realm, client, server);
    exchange(
      near,
      serverEnd(realm, server),
      (frame, number) => number === 2 ? frame.with(4, version) : frame,
    );
    assert.is(outcome(near), "version");
  }
});

test("a downgrade of the suite is refused by the server, and by the client", () => {
  const { realm, server, client } = scene();
  const change = (which: number) => (frame: Uint8Array, number: number) =>
    number === which ? frame.with(5, 2) : frame;
  const far = serverEnd(realm, server);
  exchange(clientEnd(realm, client, server), far, change(1));
  assert.is(outcome(far), "version");
  const near = clientEnd(realm, client, server);
  exchange(near, serverEnd(realm, server), change(2));
  assert.is(outcome(near), "version");
});

test("reflection: an end's own frames sent back to it prove nothing", () => {
  const { realm, server } = scene();
  // A node that dials; the attacker opens a connection to it and reflects its frames.
  const near = clientEnd(realm, server, undefined);
  const far = serverEnd(realm, server);
  exchange(near, far);
  assert.is(outcome(near), "reflection");
  // Its first frame reflected to itself is out of order.
  const again = clientEnd(realm, server, undefined);
  const [m1] = work(again);
  again.handshake.receive(m1!, 0);
  assert.is(outcome(again), "out_of_order");
  // A server that receives its own signature back as a client's.
  const proof = serverEnd(realm, server);
  const [m2] = deliver(proof, m1!);
  const m3 = encodeClientProof({ role: "node", chain: server.chain });
  deliver(proof, withSignature(m3, m2!.subarray(-64)));
  assert.is(outcome(proof), "signature");
});

test("reflection: a server refuses a client that shows the server's own identity", () => {
  const { realm, server } = scene();
  const near = clientEnd(realm, server, server, {
    own: { ...server.identity, subject: "spiffe://somebody-else", chain: server.chain },
  });
  const far = serverEnd(realm, server);
  exchange(near, far);
  assert.is(outcome(far), "reflection");
});

test("a role that changes between M1 and M3 is refused", () => {
  const all = scene();
  const { realm, server, client } = all;
  const near = clientEnd(realm, client, server);
  const far = serverEnd(realm, server);
  exchange(near, far, (frame, number) => number === 3 ? frame.with(4, 5) : frame);
  assert.is(outcome(far), "role");
});

test("a role that the certificate does not give is refused, said twice or not", () => {
  const { realm, server, client } = scene();
  const near = clientEnd(realm, client, server, {
    own: { ...client.identity, role: "controller", chain: client.chain },
  });
  const far = serverEnd(realm, server);
  exchange(near, far);
  assert.is(outcome(far), "role");
});

test("another ALPN, authority or server id than the server's own is refused", () => {
  const { realm, server, otherServer, client } = scene();
  const wrong = [
    ["alpn", { alpn: "h3" }],
    ["authority", { authority: "registry.test:4434" }],
    ["authority", { authority: "evil.test:4433" }],
    ["server_id", { serverId: otherServer.identity.subjectId }],
    ["pin", { pin: filled(0x31) }],
  ] as const;
  for (const [fault, changes] of wrong) {
    const far = serverEnd(realm, server);
    const sent = exchange(clientEnd(realm, client, server, changes), far);
    assert.is(outcome(far), fault);
    assert.is(sent.length, 1, "the server says nothing of itself");
  }
});

test("a proof with another member's certificate is refused", () => {
  const { realm, server, client } = scene();
  const thief = realm.enrol("gateway", 6);
  // The thief has the victim's certificate, which is public, and its own key.
  const near = { ...clientEnd(realm, client, server), member: thief };
  const far = serverEnd(realm, server);
  exchange(near, far);
  assert.is(outcome(far), "signature");
});

test("a banned client is refused after it proved who it is", () => {
  const { realm, server, client } = scene();
  realm.banned.add(client.identity.subject);
  const near = clientEnd(realm, client, server);
  const far = serverEnd(realm, server);
  const frames = exchange(near, far);
  assert.is(outcome(far), "banned");
  assert.is(frames.length, 3, "there is no M4");
});

test("an acceptance of another identity, or beyond one's life, is refused by the client", () => {
  const { realm, server, client } = scene();
  const near = clientEnd(realm, client, server, {
    own: { ...client.identity, notAfterMs: NOT_AFTER_MS - 1, chain: client.chain },
  });
  exchange(near, serverEnd(realm, server));
  assert.is(outcome(near), "acceptance");
  const other = clientEnd(realm, client, server, {
    own: { ...client.identity, leafHash: filled(1), chain: client.chain },
  });
  exchange(other, serverEnd(realm, server));
  assert.is(outcome(other), "acceptance");
});

test("handshake: its receiver refuses a frame that was cut, stretched or followed by bytes", () => {
  const all = scene();
  const whole = recorded(all);
  const changes: [string, (frame: Uint8Array) => Uint8Array, string[]][] = [
    // One byte fewer with a header that says so; one more with a header that says so; one more.
    ["cut", (frame) => relabelled(frame.slice(0, -1)), ["malformed", "signature"]],
    ["stretched", (frame) => relabelled(concatBytes([frame, filled(0, 1)])), ["malformed"]],
    ["followed", (frame) => concatBytes([frame, filled(0, 1)]), ["out_of_order"]],
    ["empty", (frame) => relabelled(frame.slice(0, 4)), ["malformed"]],
  ];
  for (let number = 1; number <= 4; number++) {
    for (const [name, change, faults] of changes) {
      const near = clientEnd(all.realm, all.client, all.server);
      const far = serverEnd(all.realm, all.server);
      exchange(near, far, (frame, count) => count === number ? change(frame) : frame);
      const receiver = number % 2 === 1 ? far : near;
      assert.ok(faults.includes(outcome(receiver)), `M${number} ${name}: ${outcome(receiver)}`);
    }
    // An incomplete frame is waited for.
    const near = clientEnd(all.realm, all.client, all.server);
    const far = serverEnd(all.realm, all.server);
    exchange(near, far, (frame, count) => count === number ? frame.slice(0, -1) : frame);
    assert.is(outcome(number % 2 === 1 ? far : near), "receive");
  }
  assert.is(whole.length, 4);
});

/** Returns the frame with a header that matches its length. */
function relabelled(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  new DataView(copy.buffer).setUint32(0, copy[0]! * 2 ** 24 + copy.length - 4);
  return copy;
}

test("a header that claims too much is refused with its fourth byte, and nothing is kept", () => {
  const { realm, server } = scene();
  const far = serverEnd(realm, server);
  far.handshake.receive(Uint8Array.of(1, 0xff, 0xff, 0xff), 0);
  assert.is(outcome(far), "too_large");
  assert.is(far.handshake.heldBytes, 0);
});

test("frames out of their order are refused with their first byte", () => {
  const { realm, server, client } = scene();
  for (const type of [0, 2, 3, 4, 5, 255]) {
    const far = serverEnd(realm, server);
    far.handshake.receive(Uint8Array.of(type), 0);
    // Type 0 begins the Hello of a client without an identity.
    assert.is(outcome(far), type === 0 ? "anonymous" : "out_of_order");
  }
  for (const type of [0, 1, 3, 4]) {
    const near = clientEnd(realm, client, server);
    work(near);
    near.handshake.receive(Uint8Array.of(type), 0);
    assert.is(outcome(near), "out_of_order");
  }
});

test("bytes before their turn end the handshake", () => {
  const { realm, server, client } = scene();
  const far = serverEnd(realm, server);
  far.handshake.receive(work(clientEnd(realm, client, server))[0]!, 0);
  assert.is(far.handshake.step.kind, "sign");
  far.handshake.receive(Uint8Array.of(3), 0);
  assert.is(outcome(far), "out_of_order");
});

test("junk in a chain is a refusal: too many, empty, too large, or no certificate at all", () => {
  const { realm, server } = scene();
  const judge = realm.judge.bind(realm);
  realm.judge = (end, chain) => end === "server" ? server.identity : judge(end, chain);
  const leaf = makeMember("gateway", 2).chain[0]!;
  const chains: [string, Uint8Array[]][] = [
    ["certificate", [leaf, filled(0), filled(0xff, 900)]],
    ["certificate", [filled(0x30, 12_000), filled(0x30, 4_000)]],
    ["certificate", [Uint8Array.of(0)]],
  ];
  for (const [fault, chain] of chains) {
    const member = { ...realm.enrol("gateway", 2), chain };
    const far = serverEnd(realm, server);
    exchange(clientEnd(realm, member, server), far);
    assert.is(outcome(far), fault);
  }
  const good = realm.enrol("gateway", 2);
  const counts: [string, number][] = [["malformed", 0], ["too_large", 4], ["too_large", 255]];
  for (const [fault, count] of counts) {
    const far = serverEnd(realm, server);
    exchange(
      clientEnd(realm, good, server),
      far,
      (frame, number) => number === 3 ? frame.with(5, count) : frame,
    );
    assert.is(outcome(far), fault);
  }
  // A chain whose parts are allowed but too large in total, and a part that is too large by itself.
  for (const sizes of [[12_288, 4_097], [12_289, 1]]) {
    const parts = sizes.map((size) =>
      concatBytes([Uint8Array.of(size >> 8, size), filled(1, size)])
    );
    const body = concatBytes([Uint8Array.of(2, 2), ...parts, filled(0, 64)]);
    const frame = relabelled(concatBytes([Uint8Array.of(3, 0, 0, 0), body]));
    const far = serverEnd(realm, server);
    exchange(clientEnd(realm, good, server), far, (own, number) => number === 3 ? frame : own);
    assert.is(outcome(far), "too_large");
  }
});

test("0-RTT data: M1 in early data is answered, and nothing else is before M4", () => {
  const all = scene();
  const [m1] = recorded(all);
  // Early data can be replayed, so it may only start a handshake: the reply has a new nonce, and
  // data that arrives with M1 ends it.
  const far = serverEnd(all.realm, all.server);
  far.handshake.receive(concatBytes([m1!, filled(0, 200)]), 0);
  assert.is(outcome(far), "out_of_order");
});

test.run();
