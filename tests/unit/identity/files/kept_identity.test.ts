/**
 * A kept identity: renewed at half of its life plus jitter, retried after failures, never renewed
 * twice.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type AskRenewal, KeptIdentity } from "../../../../identity/files/kept_identity.ts";
import { isRenewalProven } from "../../../../identity/enrolment/renewal_proof.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { FolderAuthority } from "../../../support/folder_authority.ts";
import { SteppedWorld } from "../../../support/stepped_world.ts";
import { createTestPki, MINUTE_MS, NOW_MS } from "../../../support/test_pki.ts";

const LIFE_MS = 65 * MINUTE_MS;

type Order = Parameters<AskRenewal>[0];

class Scene {
  readonly authority: FolderAuthority;
  readonly path: string;
  readonly world = new SteppedWorld(1);
  readonly orders: Order[] = [];
  readonly errors: unknown[] = [];
  /** The node's reactions to the next orders, one each. */
  answers: ("refuse" | "lose")[] = [];

  constructor(authority: FolderAuthority, path: string) {
    this.authority = authority;
    this.path = path;
    this.world.wallOffsetMs = NOW_MS;
  }

  open(): Promise<KeptIdentity> {
    const { wall, scheduler, entropy } = this.world;
    return this.world.wait(KeptIdentity.open({
      folder: this.path,
      wall,
      scheduler,
      entropy,
      ask: (order) => this.#ask(order),
      onError: (error) => void this.errors.push(error),
    }));
  }

  /** Returns a session that answers, and records the requests. */
  session(over: Order[]): (order: Order) => ReturnType<AskRenewal> {
    return (order) => {
      over.push(order);
      return this.authority.answer(order.request, this.world.unixMs());
    };
  }

  async #ask(order: Order) {
    this.orders.push(order);
    const next = this.answers.shift();
    if (next === "refuse") throw new RegistryError("overloaded", "Not now");
    const answer = await this.authority.answer(order.request, this.world.unixMs());
    if (next === "lose") throw new RegistryError("connection_lost", "The reply was lost");
    return answer;
  }
}

async function inScene(run: (scene: Scene) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const authority = new FolderAuthority(await createTestPki());
    const scene = new Scene(authority, `${folder}/identity`);
    await authority.folder(scene.path, NOW_MS);
    await run(scene);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const leafOf = (kept: KeptIdentity) => kept.own.chain[0];

test("KeptIdentity: renewed between 50 and 60 % of its validity, with proof of the current key", () =>
  inScene(async (scene) => {
    const kept = await scene.open();
    const before = kept.own;
    await scene.world.pass(LIFE_MS * 0.5 - 6 * MINUTE_MS);
    assert.equal([scene.orders.length, kept.own], [0, before]);
    await scene.world.pass(LIFE_MS * 0.1 + 2 * MINUTE_MS);
    assert.is(scene.orders.length, 1);
    assert.not.equal(leafOf(kept), before.chain[0]);
    const [{ request, timeMs, proof, chain }] = scene.orders as [Order];
    assert.equal(chain, before.chain);
    const proven = { publicKey: before.key.verifying.bytes, nowMs: timeMs };
    assert.is(isRenewalProven({ request, timeMs }, proof, proven), true);
    kept.close();
  }));

test("listeners are told of each new certificate until they unsubscribe", () =>
  inScene(async (scene) => {
    const kept = await scene.open();
    const told: unknown[] = [];
    const end = kept.credentials.onRenewed(() => told.push(kept.credentials.own().leafHash));
    await scene.world.pass(40 * MINUTE_MS);
    assert.equal(told, [kept.own.identity.leafHash]);
    end();
    await scene.world.pass(40 * MINUTE_MS);
    assert.is(told.length, 1);
    kept.close();
  }));

test("renewals continue until close, and end with it", () =>
  inScene(async (scene) => {
    const kept = await scene.open();
    await scene.world.pass(5 * 60 * MINUTE_MS);
    const { length } = scene.orders;
    // Each follows the previous one after 27.5 to 34 minutes.
    assert.ok(length >= 8 && length <= 11, String(length));
    assert.ok(kept.own.identity.notAfterMs > scene.world.unixMs() + 20 * MINUTE_MS);
    kept.close();
    await scene.world.pass(2 * 60 * MINUTE_MS);
    assert.is(scene.orders.length, length);
  }));

test("a refusal is reported, and retried within a minute while the certificate is valid", () =>
  inScene(async (scene) => {
    scene.answers = ["refuse", "refuse", "refuse"];
    const kept = await scene.open();
    const before = leafOf(kept);
    await scene.world.pass(LIFE_MS * 0.6 + 3 * MINUTE_MS);
    assert.equal([scene.orders.length, scene.errors.length], [4, 3]);
    assert.not.equal(leafOf(kept), before);
    kept.close();
  }));

test("a reply that was lost is asked for again with the same key", () =>
  inScene(async (scene) => {
    scene.answers = ["lose"];
    const kept = await scene.open();
    await scene.world.pass(LIFE_MS * 0.6 + 3 * MINUTE_MS);
    const [first, second] = scene.orders as [Order, Order];
    assert.equal(second.request, first.request);
    assert.equal(second.chain, first.chain);
    kept.close();
  }));

test("open asks for nothing before it is due, and renews first what has ended", () =>
  inScene(async (scene) => {
    (await scene.open()).close();
    assert.is(scene.orders.length, 0);
    scene.world.wallOffsetMs += 120 * MINUTE_MS;
    const kept = await scene.open();
    assert.is(scene.orders.length, 1);
    assert.ok(kept.own.identity.notAfterMs > scene.world.unixMs());
    kept.close();
  }));

test("a certificate due at open is renewed over the first session, or by a request of its own without one", () =>
  inScene(async (scene) => {
    scene.world.wallOffsetMs += 40 * MINUTE_MS;
    const kept = await scene.open();
    const before = leafOf(kept);
    const over: Order[] = [];
    kept.credentials.onSession(scene.session(over));
    await scene.world.wait(kept.settled());
    assert.equal([scene.orders.length, over.length], [0, 1]);
    assert.not.equal(leafOf(kept), before);
    kept.close();
    scene.world.wallOffsetMs += 40 * MINUTE_MS;
    const alone = await scene.open();
    await scene.world.pass(4_000);
    assert.is(scene.orders.length, 0, "A client may be just connecting");
    await scene.world.pass(2_000);
    assert.is(scene.orders.length, 1);
    alone.close();
  }));

test("KeptIdentity: renewed over a session while there is one, otherwise over a connection of its own", () =>
  inScene(async (scene) => {
    const kept = await scene.open();
    const over: Order[] = [];
    const end = kept.credentials.onSession(scene.session(over));
    await scene.world.pass(40 * MINUTE_MS);
    assert.equal([scene.orders.length, over.length], [0, 1]);
    kept.credentials.onSession(() => Promise.reject(new RegistryError("connection_lost", "Over")));
    await scene.world.pass(40 * MINUTE_MS);
    assert.equal([scene.orders.length, over.length], [0, 2]);
    end();
    await scene.world.pass(40 * MINUTE_MS);
    assert.equal([scene.orders.length, over.length, scene.errors.length], [1, 2, 0]);
    kept.close();
  }));

test("a node's refusal over a session is reported, and not retried by another path", () =>
  inScene(async (scene) => {
    const kept = await scene.open();
    const refusal = new RegistryError("unauthenticated", "The lineage is stopped");
    kept.credentials.onSession(() => Promise.reject(refusal));
    await scene.world.pass(39 * MINUTE_MS);
    assert.ok(scene.errors.includes(refusal));
    assert.is(scene.orders.length, 0);
    kept.close();
  }));

test("renewNow renews once after it was opened", () =>
  inScene(async (scene) => {
    const kept = await scene.open();
    const over: Order[] = [];
    kept.credentials.onSession(scene.session(over));
    const own = await scene.world.wait(kept.renewNow());
    assert.is(await scene.world.wait(kept.renewNow()), own);
    assert.equal([scene.orders.length, over.length], [0, 1]);
    kept.close();
  }));

test("open accepts a certificate that is about to end, and refuses one that has ended", () =>
  inScene(async (scene) => {
    scene.world.wallOffsetMs = NOW_MS + 60 * MINUTE_MS - 10_000;
    scene.answers = ["refuse", "refuse"];
    const kept = await scene.open();
    assert.is(scene.errors.length, 1);
    kept.close();
    scene.world.wallOffsetMs += 40 * MINUTE_MS;
    let refused: unknown;
    await scene.open().catch((error) => refused = error);
    assert.is((refused as RegistryError).code, "overloaded");
  }));

test("a clock that jumps ahead, as after sleep, makes it renew within a minute", () =>
  inScene(async (scene) => {
    const kept = await scene.open();
    scene.world.wallOffsetMs += 50 * MINUTE_MS;
    await scene.world.pass(MINUTE_MS);
    assert.is(scene.orders.length, 1);
    kept.close();
  }));

test.run();
