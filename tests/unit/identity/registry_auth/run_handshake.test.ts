/** Handshakes over a stream: services, deadlines, all kinds of ends, and very many concurrently. */
import { cpuUsage } from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  authenticatedPeer,
  HalfOpenHandshakes,
  HandshakeRefused,
  type HandshakeServices,
  type HandshakeStream,
  runHandshake,
} from "../../../../identity/registry_auth/mod.ts";
import { AUTH_HALF_OPEN_MAX } from "../../../../src/base/limits.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import {
  clientEnd,
  type End,
  filled,
  NOT_AFTER_MS,
  Realm,
  serverEnd,
  work,
} from "../../../support/auth_realm.ts";
import { VirtualScheduler } from "../../../support/virtual_scheduler.ts";

/** One end of a pipe within the process; `undefined` in the queue is the end of the stream. */
class Pipe implements HandshakeStream {
  readonly #arrived: (Uint8Array | undefined)[] = [];
  #waiting: ((chunk: Uint8Array | undefined) => void) | undefined;
  #peer: Pipe | undefined;

  static pair(): [Pipe, Pipe] {
    const [left, right] = [new Pipe(), new Pipe()];
    left.#peer = right;
    right.#peer = left;
    return [left, right];
  }

  read(): Promise<Uint8Array | undefined> {
    if (this.#arrived.length > 0) return Promise.resolve(this.#arrived.shift());
    return new Promise((resolve) => this.#waiting = resolve);
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#peer!.arrive(bytes.slice());
    return Promise.resolve();
  }

  /** Adds a chunk from the other end, or its end. */
  arrive(chunk: Uint8Array | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#arrived.push(chunk);
    else waiting(chunk);
  }
}

function scene() {
  const realm = new Realm();
  const time = new VirtualScheduler();
  return {
    realm,
    time,
    server: realm.enrol("node", 1),
    client: realm.enrol("gateway", 2),
  };
}

function run(
  time: VirtualScheduler,
  stream: HandshakeStream,
  end: End,
  changes: Partial<HandshakeServices> = {},
  signal?: AbortSignal,
) {
  return runHandshake(end.handshake, {
    stream,
    services: { ...end.realm.services(end.member), ...changes },
    monotonic: time,
    scheduler: time,
    ...(signal === undefined ? {} : { signal }),
  });
}

function fault(running: Promise<unknown>): Promise<string> {
  return running.then(() => "done", (error) => {
    if (error instanceof HandshakeRefused) return error.failure.fault;
    if (error instanceof RegistryError) return error.code;
    throw error;
  });
}

test("runHandshake brings both ends to their result, and leaves no timer", async () => {
  const { realm, time, server, client } = scene();
  const [near, far] = Pipe.pair();
  const [atClient, atServer] = await Promise.all([
    run(time, near, clientEnd(realm, client, server)),
    run(time, far, serverEnd(realm, server)),
  ]);
  assert.is(atClient.peer.subject, server.identity.subject);
  assert.is(atServer.peer.subject, client.identity.subject);
  assert.is(time.pendingCount, 0);
  const revoked = new AbortController().signal;
  const peer = authenticatedPeer(atServer.peer, { ...atServer, revoked });
  assert.equal(peer, {
    subject: client.identity.subject,
    subjectId: client.identity.subjectId,
    role: "gateway",
    region: "eu-1",
    leafHash: client.identity.leafHash,
    lineage: client.identity.lineage,
    grants: client.identity.grants,
    expiresAtMs: NOT_AFTER_MS,
    pinned: true,
    revoked,
  });
});

test("runHandshake ends a stage in which the peer says nothing after 3 s", async () => {
  const { realm, time, server, client } = scene();
  for (const end of [serverEnd(realm, server), clientEnd(realm, client, server)]) {
    const [near] = Pipe.pair();
    const ended = fault(run(time, near, end));
    const startMs = time.nowMs();
    // The machine measures from its own start, when its clock was at zero.
    await time.advance(Math.max(0, 3_000 - startMs));
    assert.is(await ended, "deadline");
    assert.is(time.pendingCount, 0);
  }
});

test("runHandshake ends a stage in which its own service says nothing, and drops what is late", async () => {
  const { realm, time, server, client } = scene();
  const [near, far] = Pipe.pair();
  const { promise, reject } = Promise.withResolvers<Uint8Array>();
  const ended = fault(run(time, far, serverEnd(realm, server), { sign: () => promise }));
  await near.write(work(clientEnd(realm, client, server))[0]!);
  await time.advance(3_000);
  assert.is(await ended, "deadline");
  reject(new Error("the key is gone"));
});

test("runHandshake tells a failing service from a refused peer", async () => {
  const { realm, time, server, client } = scene();
  const rejects = () => Promise.reject(new Error("no disk"));
  const throws = () => {
    throw new Error("no disk");
  };
  for (const name of ["sign", "judge", "admit", "sha256", "verify"] as const) {
    const [near, far] = Pipe.pair();
    const fails = name === "verify" ? throws : rejects;
    const atServer = fault(run(time, far, serverEnd(realm, server), { [name]: fails }));
    const atClient = fault(run(time, near, clientEnd(realm, client, server)));
    assert.is(await atServer, "internal", name);
    near.arrive(undefined);
    assert.is(await atClient, "connection_lost");
  }
});

test("runHandshake ends with the stream", async () => {
  const { realm, time, server } = scene();
  const [, far] = Pipe.pair();
  const ended = fault(run(time, far, serverEnd(realm, server)));
  far.arrive(undefined);
  assert.is(await ended, "connection_lost");
});

test("runHandshake has the signature checked with the judged leaf's key, not any", async () => {
  const { realm, time, server, client } = scene();
  const [near, far] = Pipe.pair();
  const thief = realm.enrol("gateway", 6);
  const atClient = run(time, near, { ...clientEnd(realm, client, server), member: thief });
  // The thief's own result is not tested here.
  atClient.catch(() => {});
  assert.is(await fault(run(time, far, serverEnd(realm, server))), "signature");
});

test("HalfOpenHandshakes bounds 10,000 that never go on, and others are served", async () => {
  const { realm, time, server, client } = scene();
  const halfOpen = new HalfOpenHandshakes();
  const [m1] = work(clientEnd(realm, client, server));
  const faults = new Map<string, number>();
  let heldBytes = 0;
  const before = cpuUsage();
  const count = (name: string) => void faults.set(name, (faults.get(name) ?? 0) + 1);
  const all: Promise<void>[] = [];
  const serve = (stream: Pipe, end = serverEnd(realm, server, {}, time.nowMs())) =>
    halfOpen.run((signal) => run(time, stream, end, {}, signal));
  for (let index = 0; index < 10_000; index++) {
    const [near, far] = Pipe.pair();
    const end = serverEnd(realm, server, { nonce: filled(index % 255 + 1) }, time.nowMs());
    all.push(fault(serve(far, end)).then(count));
    // A third sends nothing, a third half of M1, a third all of it and never answers M2.
    if (index % 3 > 0) await near.write(index % 3 === 1 ? m1!.slice(0, 60) : m1!);
    assert.ok(halfOpen.count <= AUTH_HALF_OPEN_MAX);
    heldBytes += end.handshake.heldBytes;
    if (index % 1_000 === 999) {
      const [mine, theirs] = Pipe.pair();
      const served = serve(theirs);
      await run(time, mine, clientEnd(realm, client, server, {}, time.nowMs()));
      assert.is((await served).peer.subject, client.identity.subject);
    }
  }
  const { user, system } = cpuUsage(before);
  const tookMs = (user + system) / 1_000;
  await time.advance(3_000);
  await Promise.all(all);
  assert.is(halfOpen.count, 0);
  assert.is(time.pendingCount, 0);
  const evicted = faults.get("overloaded") ?? 0;
  assert.is(evicted + (faults.get("deadline") ?? 0), 10_000);
  assert.is(evicted, halfOpen.evicted);
  assert.ok(evicted >= 10_000 - AUTH_HALF_OPEN_MAX);
  assert.ok(heldBytes < 10_000 * 512, `${heldBytes} bytes were held`);
  // Processor time, so that other load on the machine does not count.
  assert.ok(tookMs < 5_000, `10,000 took ${tookMs} ms of processor time`);
});

test.run();
