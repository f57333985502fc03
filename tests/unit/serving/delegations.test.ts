/**
 * Delegations on the session of a front, with the product's node in one process: which peer a
 * request is served as, and what ends a delegation. Evidence is checked by a stand-in here; the
 * attacks with real certificates and tokens are in tests/attack/fronts.test.ts.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EVIDENCE_KINDS, type OpenDelegationRequest } from "../../../schemas/gen/wire.ts";
import type { Input } from "../../../schemas/runtime/writer.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import {
  DELEGATION_IDLE_MS,
  DELEGATION_SWEEP_MS,
  DELEGATIONS_SESSION_MAX,
} from "../../../src/base/limits.ts";
import { ANONYMOUS, type AuthenticatedPeer, NO_GRANTS, type Role } from "../../../src/base/peer.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import type { AccessPolicy } from "../../../src/record/access.ts";
import type { DelegationEvidence } from "../../../src/serving/delegation_evidence.ts";
import { RawPeer, type RawReply } from "../../support/raw_peer.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";
import { behind, NO_ORDER } from "../../support/watch_probe.ts";

const AGENT = { id: idOf(1) };

function peerOf(role: Role, number: number, revoked: AbortSignal): AuthenticatedPeer {
  const subjectId = idOf(number);
  return {
    subject: `spiffe://registry.example/region/global/${role}/${formatUuid(subjectId)}`,
    subjectId,
    role,
    region: "global",
    leafHash: new Uint8Array(32).fill(number),
    lineage: number,
    grants: { ...NO_GRANTS, domains: ["*.example"] },
    expiresAtMs: Infinity,
    pinned: true,
    revoked,
  };
}

/** A node whose sessions are of a front. A certificate's first byte is its role, its second a number. */
class Scene {
  harness!: RegistryHarness;
  /** By number: revokes what was accepted. */
  readonly revoke = new Map<number, AbortController>();
  /** Number of accepted pieces of evidence that are not closed. */
  open = 0;
  readonly checked: DelegationEvidence[] = [];
  readonly ends: AbortController[] = [];

  static async open(options: {
    readonly policy?: AccessPolicy;
    readonly rate?: { readonly requestsPerSecond: number; readonly burst: number };
  } = {}): Promise<Scene> {
    const scene = new Scene();
    scene.harness = await RegistryHarness.open({
      ...options,
      identity: {
        prove: () => {
          const end = new AbortController();
          scene.ends.push(end);
          return Promise.resolve({ peer: peerOf("front", 99, end.signal), close() {} });
        },
        delegate: (evidence) => Promise.resolve(scene.#check(evidence)),
      },
    });
    return scene;
  }

  #check(evidence: DelegationEvidence) {
    this.checked.push(evidence);
    if (evidence.kind === "none") return { peer: ANONYMOUS, close() {} };
    if (evidence.kind !== "certificate") throw new RegistryError("unauthenticated", "Refused");
    const [role = 0, number = 0] = evidence.chain[0]!;
    const control = new AbortController();
    this.revoke.set(number, control);
    this.open++;
    return {
      peer: peerOf(ROLES[role]!, number, control.signal),
      close: () => void this.open--,
    };
  }

  /** Opens a delegation and returns its id. */
  async delegate(front: RawPeer, role: Role, number: number): Promise<number> {
    return (await front.must("openDelegation", certificate(role, number))).id;
  }

  get counts() {
    return this.harness.sessions.delegations;
  }
}

const ROLES: readonly Role[] = ["agent", "gateway", "proxy", "controller"];
const NOTHING: Input<OpenDelegationRequest> = {
  evidence: EVIDENCE_KINDS.none,
  chain: [],
  token: "",
  leafHash: new Uint8Array(0),
  capability: "",
  address: "192.0.2.7:4711",
};

function certificate(role: Role, number: number): Input<OpenDelegationRequest> {
  const chain = [Uint8Array.of(ROLES.indexOf(role), number)];
  return { ...NOTHING, evidence: EVIDENCE_KINDS.certificate, chain };
}

test("a front itself inspects and opens delegations, and does nothing else", async () => {
  const scene = await Scene.open();
  const front = await scene.harness.peer();
  assert.is((await front.ask("status", {})).code, "ok");
  assert.is((await front.ask("getAgent", AGENT)).code, "permission_denied");
  assert.is(
    (await front.ask("registerAgent", agentRequest({ number: 1 }))).code,
    "permission_denied",
  );
  assert.is((await front.ask("listBans", { first: 0, limit: 1 })).code, "permission_denied");
});

test("a request is served as the delegation that it names, each with its own rights", async () => {
  const scene = await Scene.open();
  const front = await scene.harness.peer();
  const proxy = await scene.delegate(front, "proxy", 2);
  const agent = await scene.delegate(front, "agent", 1);
  const order = agentRequest({ number: 1, domain: "a.example", region: "global" });
  assert.is(
    (await front.ask("registerAgent", order, { delegation: proxy })).code,
    "permission_denied",
  );
  assert.is((await front.ask("registerAgent", order, { delegation: agent })).code, "ok");
  assert.is((await front.ask("getAgent", AGENT, { delegation: proxy })).code, "ok");
  assert.is((await front.ask("getAgent", AGENT)).code, "permission_denied", "not the front");
  assert.is(scene.harness.agent(AGENT.id)?.writer, 1, "the lineage of the caller wrote it");
  assert.is(scene.counts.open, 2);
});

test("each caller is told its own identity, and the front that acts for it", async () => {
  const scene = await Scene.open();
  const front = await scene.harness.peer();
  const proxy = await scene.delegate(front, "proxy", 2);
  const own = await front.must("whoAmI", {});
  const theirs = await front.must("whoAmI", {}, { delegation: proxy });
  assert.equal([own.role, own.lineage, own.front], ["front", 99, ""]);
  assert.equal([theirs.role, theirs.lineage, theirs.front], ["proxy", 2, own.subject]);
  const { id: nobody } = await front.must("openDelegation", NOTHING);
  const anonymous = await front.must("whoAmI", {}, { delegation: nobody });
  assert.equal([anonymous.role, anonymous.expiresAtMs], ["anonymous", 0]);
});

test("the caller's address and the front are stated on the peer", async () => {
  const scene = await Scene.open();
  const front = await scene.harness.peer();
  await scene.delegate(front, "proxy", 2);
  assert.equal(scene.checked[0], {
    kind: "certificate",
    chain: [Uint8Array.of(2, 2)],
    token: undefined,
  });
});

test("a request that names no open delegation is refused, whatever it asks", async () => {
  const scene = await Scene.open();
  const front = await scene.harness.peer();
  for (const delegation of [1, 7, 0xffff_ffff]) {
    assert.is((await front.ask("status", {}, { delegation })).code, "unknown_delegation");
  }
  assert.is(scene.counts.refused.get("unknown_delegation"), 3);
});

test("an id of another session names nothing, or the own delegation of that number", async () => {
  const scene = await Scene.open();
  const one = await scene.harness.peer();
  const other = await scene.harness.peer();
  const delegation = await scene.delegate(one, "proxy", 2);
  assert.is((await other.ask("getAgent", AGENT, { delegation })).code, "unknown_delegation");
  assert.is(await scene.delegate(other, "agent", 5), delegation, "numbers are the session's own");
  assert.is((await other.ask("getAgent", AGENT, { delegation })).code, "permission_denied");
  assert.is((await one.ask("getAgent", AGENT, { delegation })).code, "not_found");
});

test("a closed delegation serves nothing, and lets go of its evidence", async () => {
  const scene = await Scene.open();
  const front = await scene.harness.peer();
  const delegation = await scene.delegate(front, "proxy", 2);
  assert.is((await front.ask("closeDelegation", { id: delegation })).code, "ok");
  assert.is((await front.ask("closeDelegation", { id: delegation })).code, "ok", "again");
  assert.is((await front.ask("getAgent", AGENT, { delegation })).code, "unknown_delegation");
  assert.equal([scene.open, scene.counts.open], [0, 0]);
});

test("a delegation ends with its evidence in the same turn, and others stay", async () => {
  const scene = await Scene.open();
  const front = await scene.harness.peer();
  const banned = await scene.delegate(front, "proxy", 2);
  const other = await scene.delegate(front, "proxy", 3);
  scene.revoke.get(2)!.abort(new RegistryError("unauthenticated", "banned"));
  assert.is(scene.counts.open, 1);
  const refused = await front.ask("getAgent", AGENT, { delegation: banned });
  assert.is(refused.code, "unknown_delegation");
  assert.is((await front.ask("getAgent", AGENT, { delegation: other })).code, "not_found");
});

test("evidence that ends while it is checked opens nothing", async () => {
  const scene = await Scene.open();
  const front = await scene.harness.peer();
  const opening = front.send("openDelegation", certificate("proxy", 2));
  while (scene.checked.length === 0) await scene.harness.world.turn();
  scene.revoke.get(2)!.abort();
  const { code } = await scene.harness.world.wait(opening);
  // It was accepted in the turn of its check, or refused after it.
  if (code !== "ok") assert.is(code, "unauthenticated");
  assert.equal([scene.open, scene.counts.open], [0, 0]);
});

test("a watch ends with its delegation, and with a code that tells so", async () => {
  for (const end of ["revoked", "closed"]) {
    const scene = await Scene.open();
    const front = await scene.harness.peer();
    const delegation = await scene.delegate(front, "proxy", 2);
    const replies: RawReply[] = [];
    const positions = [behind(0, 0)];
    front.watch("watch", { ...NO_ORDER, positions }, (reply) => void replies.push(reply), {
      delegation,
    });
    await scene.harness.world.pass(1_000);
    assert.ok(replies.length > 0 && replies.every(({ code }) => code === "ok"), end);
    assert.is(scene.harness.registry.watches.status.counts.watches, 1);
    if (end === "revoked") scene.revoke.get(2)!.abort();
    else await front.must("closeDelegation", { id: delegation });
    await scene.harness.world.pass(100);
    assert.is(replies.at(-1)?.code, "unknown_delegation", end);
    assert.is(scene.harness.registry.watches.status.counts.watches, 0);
  }
});

test("an idle delegation ends, one that is used or watches does not", async () => {
  const scene = await Scene.open();
  const front = await scene.harness.peer();
  const idle = await scene.delegate(front, "proxy", 2);
  const used = await scene.delegate(front, "proxy", 3);
  const watching = await scene.delegate(front, "proxy", 4);
  const positions = [behind(0, 0)];
  front.watch("watch", { ...NO_ORDER, positions }, () => {}, { delegation: watching });
  await scene.harness.world.pass(DELEGATION_IDLE_MS / 2);
  assert.is((await front.ask("getAgent", AGENT, { delegation: used })).code, "not_found");
  await scene.harness.world.pass(DELEGATION_IDLE_MS / 2 + DELEGATION_SWEEP_MS);
  assert.is(scene.counts.open, 2);
  assert.is((await front.ask("getAgent", AGENT, { delegation: idle })).code, "unknown_delegation");
  for (const delegation of [used, watching]) {
    assert.is((await front.ask("getAgent", AGENT, { delegation })).code, "not_found");
  }
});

test("a session has a bounded number of delegations, and a closed one makes room", async () => {
  const scene = await Scene.open();
  const front = await scene.harness.peer();
  const opening: Promise<RawReply>[] = [];
  for (let count = 0; count < DELEGATIONS_SESSION_MAX; count++) {
    opening.push(front.send("openDelegation", NOTHING));
  }
  const opened = await scene.harness.world.wait(Promise.all(opening));
  const accepted = opened.filter(({ code }) => code === "ok");
  assert.is(accepted.length, DELEGATIONS_SESSION_MAX);
  const more = await front.ask("openDelegation", NOTHING);
  assert.is(more.code, "overloaded");
  assert.ok(more.response.retryAfterMs > 0);
  // Other sessions have their own.
  const other = await scene.harness.peer();
  assert.is((await other.ask("openDelegation", NOTHING)).code, "ok");
  await front.must("closeDelegation", { id: accepted[0]!.body.id });
  assert.is((await front.ask("openDelegation", NOTHING)).code, "ok");
  assert.is(scene.counts.refused.get("overloaded"), 1);
});

test("each delegation has a rate of its own", async () => {
  const scene = await Scene.open({ rate: { requestsPerSecond: 10, burst: 500 } });
  const front = await scene.harness.peer();
  const greedy = await scene.delegate(front, "proxy", 2);
  const modest = await scene.delegate(front, "proxy", 3);
  let refused = 0;
  for (let count = 0; count < 600; count++) {
    const { code } = await front.ask("getAgent", AGENT, { delegation: greedy });
    if (code === "overloaded") refused++;
  }
  assert.ok(refused > 50, `${refused} were refused`);
  assert.is((await front.ask("getAgent", AGENT, { delegation: modest })).code, "not_found");
  assert.is((await front.ask("status", {})).code, "ok", "nor does the front pay for it");
});

test("all delegations end with the session of their front, also when it is banned", async () => {
  for (const isBanned of [false, true]) {
    const scene = await Scene.open();
    const front = await scene.harness.peer();
    const delegation = await scene.delegate(front, "proxy", 2);
    await scene.delegate(front, "proxy", 3);
    const late = front.send("getAgent", AGENT, { delegation });
    if (isBanned) scene.ends[0]!.abort();
    else front.session.abort("done");
    // At once: a banned front may send for as long as its goodbye takes.
    if (isBanned) assert.is(scene.counts.open, 0);
    await scene.harness.world.pass(100);
    assert.equal([scene.open, scene.counts.open], [0, 0]);
    void late;
  }
});

test("a delegation opens no delegations and takes no token", async () => {
  const scene = await Scene.open();
  const front = await scene.harness.peer();
  const delegation = await scene.delegate(front, "proxy", 2);
  const nested = await front.ask("openDelegation", NOTHING, { delegation });
  assert.is(nested.code, "permission_denied");
  assert.is(
    (await front.ask("closeDelegation", { id: delegation }, { delegation })).code,
    "permission_denied",
  );
  const { code } = await front.ask("useToken", { token: "x" }, { delegation });
  assert.is(code, "permission_denied");
});

test("malformed evidence is refused before it is checked", async () => {
  const scene = await Scene.open();
  const front = await scene.harness.peer();
  const { certificate: byChain, token: byToken } = EVIDENCE_KINDS;
  const five = Array.from({ length: 5 }, () => new Uint8Array(1));
  const bad: Partial<Input<OpenDelegationRequest>>[] = [
    { evidence: 0 },
    { evidence: 5 },
    { evidence: byChain, chain: [] },
    { evidence: byChain, chain: five },
    { evidence: byChain, chain: [new Uint8Array(17 * 1024)] },
    { evidence: byToken, token: "x", leafHash: new Uint8Array(31) },
    { token: "x".repeat(5_000) },
    { capability: "x".repeat(5_000) },
    { address: "x".repeat(129) },
    { address: "192.0.2.1\n" },
  ];
  for (const fields of bad) {
    const { code } = await front.ask("openDelegation", { ...NOTHING, ...fields });
    assert.is(code, "invalid_argument", JSON.stringify(fields).slice(0, 80));
  }
  assert.equal(scene.checked, []);
  assert.is(scene.counts.open, 0);
});

test("an anonymous delegation may do what the node's setting says", async () => {
  const expected = { none: "permission_denied", governed: "permission_denied", read: "not_found" };
  for (const anonymous of ["none", "governed", "read"] as const) {
    const scene = await Scene.open({ policy: { trustUnpinned: false, anonymous } });
    const front = await scene.harness.peer();
    const { id: delegation } = await front.must("openDelegation", NOTHING);
    const { code } = await front.ask("getAgent", AGENT, { delegation });
    assert.is(code, expected[anonymous], anonymous);
    assert.is((await front.ask("status", {}, { delegation })).code, "permission_denied");
    const write = await front.ask("registerAgent", agentRequest({ number: 1 }), { delegation });
    assert.is(write.code, "permission_denied");
  }
});

test("an anonymous session may read what the node's setting says, too", async () => {
  const expected = { none: "permission_denied", governed: "permission_denied", read: "not_found" };
  for (const anonymous of ["none", "governed", "read"] as const) {
    const { harness } = await Scene.open({ policy: { trustUnpinned: false, anonymous } });
    const { world } = harness;
    const trust = { kind: "pins", sha256: [] } as const;
    const session = await world.wait(
      harness.dialer().dial({ host: "node", port: 4100 }, { trust }),
    );
    const stream = await world.wait(session.open("request"));
    const peer = new RawPeer(world, session, stream);
    peer.useRequests(stream);
    assert.is((await peer.ask("getAgent", AGENT)).code, expected[anonymous], anonymous);
    const nested = await peer.ask("openDelegation", NOTHING);
    assert.is(nested.code, "permission_denied");
    const named = await peer.ask("getAgent", AGENT, { delegation: 1 });
    assert.is(named.code, "unknown_delegation");
  }
});

test.run();
