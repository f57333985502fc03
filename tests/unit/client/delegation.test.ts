/** The client of one caller: when a delegation is opened for it, and what its calls wait for. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import {
  DELEGATION_IDLE_MS,
  DELEGATION_SWEEP_MS,
  REQUEST_FRAME_BYTES_MAX,
} from "../../../src/base/limits.ts";
import { type AuthenticatedPeer, NO_GRANTS } from "../../../src/base/peer.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import type { DelegatedClient } from "../../../src/client/types.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { codeOf } from "../../support/refusal.ts";
import { RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";

const OPEN = "100 ok";
const CLOSE = "101 ok";
const ID = formatUuid(idOf(1));
const AGENT = { id: ID, region: "global", domain: "a.example" };

/** A node whose checks of evidence end when a test says so. */
class Scene {
  harness!: RegistryHarness;
  /** Accepts or refuses the evidence that waits; undefined: it is accepted at once. */
  decide: PromiseWithResolvers<void> | undefined;
  revoke = new AbortController();
  checked = 0;

  static async open(): Promise<Scene> {
    const scene = new Scene();
    const front = new AbortController().signal;
    scene.harness = await RegistryHarness.open({
      identity: {
        prove: () =>
          Promise.resolve({
            peer: developmentPeer({ region: "global", revoked: front }),
            close() {},
          }),
        delegate: async () => {
          scene.checked++;
          await scene.decide?.promise;
          return { peer: scene.#peer(), close() {} };
        },
      },
    });
    return scene;
  }

  #peer(): AuthenticatedPeer {
    const subjectId = idOf(7);
    return {
      subject: `spiffe://registry.example/region/global/proxy/${formatUuid(subjectId)}`,
      subjectId,
      role: "proxy",
      region: "global",
      leafHash: new Uint8Array(32),
      lineage: 7,
      grants: NO_GRANTS,
      expiresAtMs: Infinity,
      pinned: true,
      revoked: this.revoke.signal,
    };
  }

  /** Ends the evidence; the next one is valid again. */
  end(): void {
    const { revoke } = this;
    this.revoke = new AbortController();
    revoke.abort();
  }

  code(promise: Promise<unknown>) {
    return this.harness.world.wait(codeOf(promise));
  }

  count(key: string): number {
    return this.harness.counts.get(key) ?? 0;
  }

  get open(): number {
    return this.harness.sessions.delegations.open;
  }
}

async function callerOf(scene: Scene): Promise<DelegatedClient> {
  return (await scene.harness.client()).delegate({ kind: "none" });
}

test("nothing is sent before the first call; calls that come together wait for one delegation", async () => {
  const scene = await Scene.open();
  const caller = await callerOf(scene);
  await scene.harness.world.pass(1_000);
  assert.is(scene.checked, 0);
  scene.decide = Promise.withResolvers();
  const calls = [1, 2, 3].map(() => codeOf(caller.getAgent(ID)));
  await scene.harness.world.pass(100);
  assert.equal([scene.checked, scene.count("1 not_found")], [1, 0]);
  scene.decide.resolve();
  assert.equal(await scene.harness.world.wait(Promise.all(calls)), Array(3).fill("not_found"));
  assert.is(scene.count(OPEN), 1);
});

test("a call ends with its own deadline, although its delegation is still being opened", async () => {
  const scene = await Scene.open();
  const caller = await callerOf(scene);
  scene.decide = Promise.withResolvers();
  const short = codeOf(caller.getAgent(ID, { timeoutMs: 200 }));
  const long = codeOf(caller.getAgent(ID, { timeoutMs: 4_000 }));
  await scene.harness.world.pass(400);
  assert.is(await scene.harness.world.wait(short), "deadline_exceeded");
  scene.decide.resolve();
  assert.is(await scene.harness.world.wait(long), "not_found");
});

test("a refusal is told to the calls that waited, and the evidence is tried again by the next", async () => {
  const scene = await Scene.open();
  const caller = await callerOf(scene);
  scene.decide = Promise.withResolvers();
  const calls = [1, 2].map(() => codeOf(caller.getAgent(ID)));
  await scene.harness.world.pass(10);
  scene.decide.reject(new RegistryError("unauthenticated", "banned"));
  assert.equal(
    await scene.harness.world.wait(Promise.all(calls)),
    Array(2).fill("unauthenticated"),
  );
  scene.decide = undefined;
  assert.is(await scene.code(caller.getAgent(ID)), "not_found");
  assert.is(scene.checked, 2);
});

test("evidence that does not fit into a request is refused to every call, at once", async () => {
  const scene = await Scene.open();
  const chain = [new Uint8Array(REQUEST_FRAME_BYTES_MAX)];
  const caller = (await scene.harness.client()).delegate({ kind: "certificate", chain });
  for (let call = 0; call < 2; call++) {
    assert.is(await scene.code(caller.getAgent(ID)), "too_large");
  }
  assert.is(scene.checked, 0);
});

test("a caller that is closed while its delegation is opened leaves none", async () => {
  const scene = await Scene.open();
  const caller = await callerOf(scene);
  scene.decide = Promise.withResolvers();
  const call = codeOf(caller.getAgent(ID));
  await scene.harness.world.pass(10);
  caller.close();
  assert.is(await scene.harness.world.wait(call), "shutting_down");
  scene.decide.resolve();
  await scene.harness.world.pass(100);
  assert.equal([scene.open, scene.count(CLOSE)], [0, 1]);
  assert.is(await scene.code(caller.getAgent(ID)), "shutting_down");
});

test("a delegation that the node ended is opened again, without an error for the call", async () => {
  const scene = await Scene.open();
  const caller = await callerOf(scene);
  assert.is(await scene.code(caller.getAgent(ID)), "not_found");
  await scene.harness.world.pass(DELEGATION_IDLE_MS + DELEGATION_SWEEP_MS);
  assert.is(scene.open, 0);
  assert.is(await scene.code(caller.getAgent(ID)), "not_found");
  assert.is(scene.count(OPEN), 2);
});

test("calls that wait for a delegation go on over the next connection", async () => {
  const scene = await Scene.open();
  const caller = await callerOf(scene);
  scene.decide = Promise.withResolvers();
  const call = codeOf(caller.getAgent(ID));
  await scene.harness.world.pass(100);
  scene.decide = undefined;
  await scene.harness.restart();
  assert.is(await scene.harness.world.wait(call), "not_found");
});

test("a watch goes on where it was when its delegation has ended, and ends with its caller", async () => {
  const scene = await Scene.open();
  const { world } = scene.harness;
  const owner = await scene.harness.client();
  const caller = owner.delegate({ kind: "none" });
  const watch = caller.watch({ kind: "agent" });
  const domains: string[] = [];
  const watched = codeOf((async () => {
    for await (const event of watch) {
      if (event.type === "put" && event.kind === "agent") domains.push(event.record.domain);
    }
  })());
  await world.pass(2_000);
  await world.wait(owner.registerAgent(AGENT));
  scene.end();
  await world.wait(owner.registerAgent({ ...AGENT, domain: "b.example" }));
  await world.pass(5_000);
  assert.equal(domains, ["a.example", "b.example"]);
  assert.ok(scene.count(OPEN) >= 2, `${scene.count(OPEN)} were opened`);
  caller.close();
  assert.is(await world.wait(watched), "shutting_down");
  await world.pass(100);
  assert.equal([scene.open, scene.harness.registry.watches.status.counts.watches], [0, 0]);
});

test("a delegated call takes no home", async () => {
  const scene = await Scene.open();
  const caller = await callerOf(scene);
  assert.is(await scene.code(caller.getAgent(ID, { home: true })), "invalid_argument");
});

test.run();
