/**
 * Binding of a domain to an agent: claim, register, confirm are separate logged commands, and the
 * power may fail between any two, before or after each is on the disk.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ALIAS_SWEEP_MS, GROUP_TICK_MS } from "../../../src/base/limits.ts";
import { NO_POSITION } from "../../../src/base/position.ts";
import { encodeClaim, encodeRevoke } from "../../../src/record/command.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS } from "../../../src/record/key.ts";
import type { RawPeer } from "../../support/raw_peer.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";

const DOMAIN = "a.example";

/** Returns the agents that are live and hold the domain by its alias' claim. */
function holders(harness: RegistryHarness, numbers: readonly number[]): number[] {
  const alias = harness.alias(DOMAIN);
  return numbers.filter((number) => {
    const agent = harness.agent(idOf(number));
    return agent !== undefined && alias !== undefined && agent.domain === DOMAIN &&
      agent.claim.index === alias.claim.index &&
      agent.claim.generation === alias.claim.generation;
  });
}

/** Returns the live agents whose records name the domain: at most one of them may hold it. */
function named(harness: RegistryHarness, numbers: readonly number[]): number[] {
  return numbers.filter((number) => harness.agent(idOf(number))?.domain === DOMAIN);
}

async function resolved(peer: RawPeer): Promise<number | undefined> {
  const reply = await peer.ask("resolveAgent", { domain: DOMAIN });
  if (reply.code === "not_found") return undefined;
  assert.is(reply.code, "ok");
  const { agentId } = reply.body;
  return new DataView(agentId.buffer, agentId.byteOffset + 12).getUint32(0);
}

/** Returns two agents whose partitions differ from each other and from that of the domain. */
function twoAgents(harness: RegistryHarness): [number, number] {
  const { table } = harness.registry;
  const taken = new Set([table.held(KIND_ALIAS, domainBytes(DOMAIN)).id]);
  const numbers: number[] = [];
  for (let number = 1; numbers.length < 2; number++) {
    const { id } = table.held(KIND_AGENT, idOf(number));
    if (taken.has(id)) continue;
    taken.add(id);
    numbers.push(number);
  }
  return numbers as [number, number];
}

test("whatever turn the power fails at, the domain resolves to its agent or another can claim it", async () => {
  for (const seed of [undefined, 3, 4]) {
    let died = true;
    const acknowledgedAt: number[] = [];
    for (let turns = 1; died; turns++) {
      const harness = await RegistryHarness.open();
      const [first, second] = twoAgents(harness);
      const peer = await harness.peer();
      let acknowledged = false;
      void peer.send("registerAgent", agentRequest({ number: first, domain: DOMAIN }))
        .then(({ code }) => acknowledged = code === "ok");
      let left = turns;
      while (left > 0 && await harness.world.turn()) left--;
      died = left === 0;
      await harness.restart(seed);
      const later = await harness.peer();
      if (acknowledged) acknowledgedAt.push(turns);
      if (acknowledged) assert.is(await resolved(later), first, `after ${turns} turns`);
      const holder = await resolved(later);
      const claim = await later.ask(
        "registerAgent",
        agentRequest({ number: second, domain: DOMAIN }),
      );
      if (holder === undefined) {
        assert.is(claim.code, "ok", `free after ${turns} turns`);
        assert.is(await resolved(later), second);
      } else {
        assert.is(holder, first);
        assert.is(claim.code, "domain_taken");
        assert.is(claim.response.field, "domain");
        assert.is(await resolved(later), first);
      }
      assert.is(holders(harness, [first, second]).length, 1);
      assert.is(named(harness, [first, second]).length, 1);
      // The first repeats the same request: it is the same agent, or the domain is taken.
      const again = await later.ask(
        "registerAgent",
        agentRequest({ number: first, domain: DOMAIN }),
      );
      assert.is(again.code, holder === undefined ? "domain_taken" : "ok");
      assert.is(named(harness, [first, second]).length, 1);
      harness.crash();
    }
    assert.ok(acknowledgedAt[0]! > 3, "there are turns before the answer");
    assert.ok(acknowledgedAt.length > 3, "and between the answer and the confirmation");
  }
});

test("concurrent claims: one agent gets the domain, at whatever turn the power fails", async () => {
  let died = true;
  for (let turns = 1; died; turns++) {
    const harness = await RegistryHarness.open();
    const [first, second] = twoAgents(harness);
    const codes = new Map<number, string>();
    for (const number of [first, second]) {
      const peer = await harness.peer();
      void peer.send("registerAgent", agentRequest({ number, domain: DOMAIN }))
        .then(({ code }) => codes.set(number, code));
    }
    let left = turns;
    while (left > 0 && await harness.world.turn()) left--;
    died = left === 0;
    await harness.restart(turns);
    assert.ok(holders(harness, [first, second]).length <= 1);
    const peer = await harness.peer();
    for (const [number, code] of codes) {
      if (code === "ok") assert.is(await resolved(peer), number);
    }
    const outcomes = [];
    for (const number of [first, second]) {
      outcomes.push(
        (await peer.ask("registerAgent", agentRequest({ number, domain: DOMAIN }))).code,
      );
    }
    assert.equal(outcomes.toSorted(), ["domain_taken", "ok"]);
    assert.is(holders(harness, [first, second]).length, 1);
    assert.is(named(harness, [first, second]).length, 1);
    harness.crash();
  }
});

test("whichever turn a second agent comes in, one of the two gets the domain and keeps it", async () => {
  for (let turns = 0; turns < 24; turns++) {
    const harness = await RegistryHarness.open();
    const [first, second] = twoAgents(harness);
    const [mine, yours] = [await harness.peer(), await harness.peer()];
    const replies = [mine.send("registerAgent", agentRequest({ number: first, domain: DOMAIN }))];
    for (let turn = 0; turn < turns; turn++) await harness.world.turn();
    replies.push(yours.send("registerAgent", agentRequest({ number: second, domain: DOMAIN })));
    const codes: string[] = [];
    for (const reply of replies) codes.push((await harness.world.wait(reply)).code);
    assert.is(codes.filter((code) => code === "ok").length, 1, `after ${turns} turns: ${codes}`);
    // An agent that lost its claim to another that is not registered yet is told to retry.
    assert.ok(codes.some((code) => code === "domain_taken" || code === "overloaded"));
    const winner = codes[0] === "ok" ? first : second;
    assert.equal(named(harness, [first, second]), [winner]);
    assert.is(await resolved(mine), winner);
    harness.crash();
  }
});

test("claims during a stuck disk: a revocation behind the other agent's register finds the domain held", async () => {
  const harness = await RegistryHarness.open();
  const [first, second] = twoAgents(harness);
  const { table } = harness.registry;
  const home = table.held(KIND_AGENT, idOf(first));
  const [mine, yours] = [await harness.peer(), await harness.peer()];
  const { lastIndex } = home.group.status();
  const one = mine.send("registerAgent", agentRequest({ number: first, domain: DOMAIN }));
  while (home.group.status().lastIndex === lastIndex) await harness.world.turn();
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  const two = yours.send("registerAgent", agentRequest({ number: second, domain: DOMAIN }));
  await harness.world.settle();
  assert.is(harness.agent(idOf(first)), undefined, "its register is not durable yet");
  assert.is(home.group.status().lastIndex, lastIndex + 2, "the revocation is behind it");
  harness.disk.intercept = () => undefined;
  harness.disk.releaseHeld();
  assert.is((await harness.world.wait(one)).code, "ok");
  assert.is((await harness.world.wait(two)).code, "domain_taken");
  assert.equal(named(harness, [first, second]), [first]);
});

test("a claim on a domain that is plainly held logs nothing", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, domain: DOMAIN }));
  await harness.world.settle();
  const before = harness.logged;
  for (let number = 2; number < 12; number++) {
    const reply = await peer.ask("registerAgent", agentRequest({ number, domain: DOMAIN }));
    assert.is(reply.code, "domain_taken");
  }
  assert.is(harness.logged, before);
});

test("a late register with a revoked claim is refused, and tried again with a new claim", async () => {
  const harness = await RegistryHarness.open();
  const [first] = twoAgents(harness);
  const { table } = harness.registry;
  const header = { timeMs: 0, unixS: 0, writer: 0 };
  // A claim was logged, its release was not: the revocation is in the agent's partition.
  const alias = table.held(KIND_ALIAS, domainBytes(DOMAIN));
  const claimed = await harness.world.wait(
    alias.group.propose(
      encodeClaim(header, { domain: DOMAIN, agentId: idOf(first), replaces: NO_POSITION }),
      1_000,
    ),
  );
  assert.ok(claimed.ok);
  const { claim } = claimed.ok ? claimed.outcome : { claim: NO_POSITION };
  const home = table.held(KIND_AGENT, idOf(first));
  const command = encodeRevoke(header, { agentId: idOf(first), claim, isForAnother: false });
  assert.ok((await harness.world.wait(home.group.propose(command, 1_000))).ok);

  const peer = await harness.peer();
  const request = agentRequest({ number: first, domain: DOMAIN });
  assert.is((await peer.ask("registerAgent", request)).code, "ok");
  assert.is(await resolved(peer), first);
  assert.not.equal(harness.alias(DOMAIN)!.claim, claim);
});

test("a change of domain frees the old one, and the new one resolves at once", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, domain: DOMAIN }));
  await peer.must("registerAgent", agentRequest({ number: 1, domain: "b.example", sequence: 2 }));
  assert.is(await resolved(peer), undefined, "before anybody cleared up");
  assert.is((await peer.must("resolveAgent", { domain: "b.example" })).agentPart, 1);
  await harness.world.pass(ALIAS_SWEEP_MS + GROUP_TICK_MS);
  assert.is(harness.alias(DOMAIN), undefined, "the janitor gave it up");
  await peer.must("registerAgent", agentRequest({ number: 2, domain: DOMAIN }));
  assert.is(await resolved(peer), 2);
});

test("domains of one agent in different partitions never pass for each other", async () => {
  // Their first claims have the same index in logs of the same length.
  const harness = await RegistryHarness.open({ partitions: 16 });
  const peer = await harness.peer();
  for (let sequence = 1; sequence <= 12; sequence++) {
    await peer.must(
      "registerAgent",
      agentRequest({ number: 1, domain: `d${sequence}.example`, sequence }),
    );
  }
  const { items } = await peer.must("resolveAgents", {
    domains: Array.from({ length: 12 }, (_, index) => `d${index + 1}.example`),
  });
  assert.equal(items.map(({ code }: { code: number }) => code), [...new Array(11).fill(9), 0]);
});

test("an expired agent's domain goes to another, and the first is refused when it comes back", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, domain: DOMAIN, ttlMs: 5_000 }));
  const early = await peer.ask("registerAgent", agentRequest({ number: 2, domain: DOMAIN }));
  assert.is(early.code, "domain_taken");
  await harness.world.pass(6_100);
  assert.is(await resolved(peer), undefined);
  await peer.must("registerAgent", agentRequest({ number: 2, domain: DOMAIN }));
  assert.is(await resolved(peer), 2);
  const back = await peer.ask(
    "registerAgent",
    agentRequest({ number: 1, domain: DOMAIN, sequence: 2, ttlMs: 5_000 }),
  );
  assert.is(back.code, "domain_taken");
  assert.is(harness.agent(idOf(1)), undefined);
});

test("a deregistered agent's domain is free for another at once", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const { incarnation } = await peer.must(
    "registerAgent",
    agentRequest({ number: 1, domain: DOMAIN }),
  );
  const request = { id: idOf(1), incarnation, process: 11, sequence: 2, withAgents: false };
  await peer.must("deregisterAgent", request);
  await peer.must("registerAgent", agentRequest({ number: 2, domain: DOMAIN }));
  assert.is(await resolved(peer), 2);
});

test("the janitor confirms what was registered and gives up what never was", async () => {
  const harness = await RegistryHarness.open();
  const { table } = harness.registry;
  const peer = await harness.peer();
  // A claim whose register never arrived.
  const header = { timeMs: 0, unixS: 0, writer: 0 };
  const home = table.held(KIND_ALIAS, domainBytes("lost.example"));
  const claim = encodeClaim(header, {
    domain: "lost.example",
    agentId: idOf(9),
    replaces: NO_POSITION,
  });
  await harness.world.wait(home.group.propose(claim, 1_000));
  // A register whose confirmation was lost: the power fails before it is on the disk.
  const request = agentRequest({ number: 1, domain: DOMAIN, ttlMs: 600_000 });
  void peer.send("registerAgent", request);
  while (harness.agent(idOf(1)) === undefined) await harness.world.turn();
  await harness.restart();
  assert.is(harness.alias(DOMAIN)?.state, 0, "pending");
  const later = await harness.peer();
  assert.is(await resolved(later), 1, "a pending alias whose agent holds it resolves");

  await harness.world.pass(ALIAS_SWEEP_MS + GROUP_TICK_MS);
  assert.is(harness.alias(DOMAIN)?.state, 1, "confirmed");
  assert.not.equal(harness.alias("lost.example"), undefined, "one round is patience");
  await harness.world.pass(ALIAS_SWEEP_MS + GROUP_TICK_MS);
  assert.is(harness.alias("lost.example"), undefined);
  assert.is(await resolved(later), 1);
});

test("a refused register does not take a domain from anybody, nor keep it", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1 }));
  const foreign = { number: 1, domain: DOMAIN, process: 99 };
  assert.is((await peer.ask("registerAgent", agentRequest(foreign))).code, "incarnation_mismatch");
  assert.is(await resolved(peer), undefined);
  await peer.must("registerAgent", agentRequest({ number: 2, domain: DOMAIN }));
  assert.is(await resolved(peer), 2);
});

test.run();
