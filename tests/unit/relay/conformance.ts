/**
 * The conformance suite of relay backends: the same tests for each, in memory with stepped time and
 * against real servers. A stage is one backend with several fronts.
 *
 * Time passes only through the stage: stepped, or by waiting for a condition at a real server.
 */
import * as assert from "uvu/assert";
import type { RelayRegistry } from "../../../src/relay/relay_registry.ts";
import type { RelayTimes } from "../../../src/relay/relay_times.ts";
import { codeOf, rejectionOf } from "../../support/refusal.ts";

/** A backend under test, empty at first. */
export interface RelayStage {
  /** Leases of the entries; those of relays are the longer ones. */
  readonly times: RelayTimes;
  /** Opens a front of the backend. The stage closes it. */
  front(options?: { readonly clockOffsetMs?: number }): Promise<RelayRegistry>;
  /** Returns the backend's time, with an error of at most `clockErrorMs`. */
  unixMs(): number;
  readonly clockErrorMs: number;
  /** Lets time pass until `holds`, for about three of the longer leases at most. */
  until(what: string, holds: () => Promise<boolean>): Promise<void>;
  /** Lets `ms` pass, and calls `act` at least each fourth of the shorter lease meanwhile. */
  during(ms: number, act: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

const RELAY_MISSING = "relay not registered: not found";
const AGENT_MISSING = "agent not registered: not found";
const CLOCK_OFFSET_MS = 600_000;

/** Registers the suite with `test`. */
export function testConformance(
  name: string,
  test: (name: string, handler: () => Promise<void>) => void,
  open: () => Promise<RelayStage>,
): void {
  for (const [criterion, check] of Object.entries({ ...REGISTRATIONS, ...LEASES, ...RACES })) {
    test(`${name} ${criterion}`, async () => {
      const stage = await open();
      try {
        await check(stage);
      } finally {
        await stage.close();
      }
    });
  }
}

type Check = (stage: RelayStage) => Promise<void>;

const relay = (relayId: string, address = "192.0.2.1", grpcPort = 50_052) => (
  { relayId, address, grpcPort }
);
const agentsIn = async (front: RelayRegistry) =>
  (await front.listAgents()).map(({ agentId }) => agentId);
const relaysIn = async (front: RelayRegistry) =>
  (await front.listRelays()).map(({ relayId }) => relayId);
const isGone = async (call: Promise<unknown>) => await codeOf(call) === "not_found";
const messageOf = async (call: Promise<unknown>) => (await rejectionOf(call)).message;

const REGISTRATIONS: Record<string, Check> = {
  "registers, renews and lists relays": async (stage) => {
    const front = await stage.front();
    assert.equal(await front.listRelays(), []);
    assert.is(await messageOf(front.heartbeatRelay("r1")), RELAY_MISSING);
    await front.registerRelay(relay("r1"));
    await front.heartbeatRelay("r1");
    const [listed, ...others] = await front.listRelays();
    assert.equal(others, []);
    const { lastHeartbeatUnixMs, ...rest } = listed!;
    assert.equal(rest, relay("r1"));
    assertRecent(stage, lastHeartbeatUnixMs);
  },
  "updates the address of a live relay and keeps its agents": async (stage) => {
    const front = await stage.front();
    await front.registerRelay(relay("r1"));
    await front.registerAgent("a1", "r1");
    await front.registerRelay(relay("r1", "2001:db8::1", -5));
    await front.heartbeatRelay("r1");
    const [listed] = await front.listRelays();
    assert.is(listed?.address, "2001:db8::1");
    assert.is(listed?.grpcPort, -5);
    assert.is((await front.placement("a1")).relayId, "r1");
  },
  "places agents at live relays only": async (stage) => {
    const front = await stage.front();
    assert.is(await messageOf(front.registerAgent("a1", "r1")), RELAY_MISSING);
    assert.is(await messageOf(front.placement("a1")), AGENT_MISSING);
    assert.is(await messageOf(front.heartbeatAgent("a1", "r1")), AGENT_MISSING);
    assert.is(await messageOf(front.heartbeatAgent("a1", undefined)), AGENT_MISSING);
    await front.registerRelay(relay("r1"));
    await front.registerAgent("a1", "r1");
    await front.heartbeatAgent("a1", "r1");
    const { lastUpdatedUnixMs, ...placement } = await front.placement("a1");
    assert.equal(placement, { agentId: "a1", relayId: "r1" });
    assertRecent(stage, lastUpdatedUnixMs);
    const [agent] = await front.listAgents();
    assert.is(agent?.agentId, "a1");
    assertRecent(stage, agent?.lastHeartbeatUnixMs ?? 0);
  },
  "moves an agent that another live relay registers": async (stage) => {
    const front = await stage.front();
    await front.registerRelay(relay("r1"));
    await front.registerRelay(relay("r2"));
    await front.registerAgent("a1", "r1");
    await front.registerAgent("a1", "r2");
    assert.is((await front.placement("a1")).relayId, "r2");
    assert.equal(await agentsIn(front), ["a1"]);
    assert.equal(await front.agentsOf("r1"), []);
    assert.equal((await front.agentsOf("r2")).map(({ agentId }) => agentId), ["a1"]);
    assert.is(await messageOf(front.registerAgent("a1", "r3")), RELAY_MISSING);
    assert.is((await front.placement("a1")).relayId, "r2");
  },
  "refuses a heartbeat of a relay that does not hold the agent, which moves nothing": async (
    stage,
  ) => {
    const front = await stage.front();
    await front.registerRelay(relay("r1"));
    await front.registerRelay(relay("r2"));
    await front.registerAgent("a1", "r1");
    assert.is(await messageOf(front.heartbeatAgent("a1", "r2")), AGENT_MISSING);
    assert.is(await messageOf(front.heartbeatAgent("a1", "r9")), AGENT_MISSING);
    assert.is((await front.placement("a1")).relayId, "r1");
    await front.registerAgent("a1", "r2");
    assert.is(await messageOf(front.heartbeatAgent("a1", "r1")), AGENT_MISSING);
    await front.heartbeatAgent("a1", "r2");
    await front.heartbeatAgent("a1", undefined);
    assert.is((await front.placement("a1")).relayId, "r2");
  },
  "keeps ids of any text whole, and lists in the order of their bytes": async (stage) => {
    const front = await stage.front();
    const ids = [
      "\u0000",
      "a",
      "a\u0000",
      "a/b",
      "a/b/",
      "b c\n",
      "constructor",
      "x".repeat(512),
      "{tag}:*?[^\"'\\",
      "ä",
      "\uffff",
      "😀",
    ];
    for (const id of ids.toReversed()) {
      await front.registerRelay(relay(id, `host of ${id.slice(0, 9)}`));
      await front.registerAgent(id, id);
    }
    assert.equal(await relaysIn(front), ids);
    assert.equal(await agentsIn(front), ids);
    for (const id of ids) assert.is((await front.placement(id)).relayId, id);
    assert.equal((await front.agentsOf("a")).map(({ agentId }) => agentId), ["a"]);
  },
  "fails each call after it was closed, and other fronts serve on": async (stage) => {
    const front = await stage.front();
    const other = await stage.front();
    await front.registerRelay(relay("r1"));
    await front.close();
    await front.close();
    assert.is(await codeOf(front.listRelays()), "shutting_down");
    assert.is(await codeOf(front.registerRelay(relay("r2"))), "shutting_down");
    assert.equal(await relaysIn(other), ["r1"]);
  },
};

const LEASES: Record<string, Check> = {
  "ends an agent that is not renewed, while its relay lives": async (stage) => {
    const front = await stage.front();
    await front.registerRelay(relay("r1"));
    await front.registerAgent("kept", "r1");
    await front.registerAgent("left", "r1");
    await stage.until("the agent left ends", async () => {
      await front.heartbeatRelay("r1");
      await front.heartbeatAgent("kept", "r1");
      return await isGone(front.placement("left"));
    });
    assert.equal(await agentsIn(front), ["kept"]);
    assert.equal((await front.agentsOf("r1")).map(({ agentId }) => agentId), ["kept"]);
    assert.is(await messageOf(front.heartbeatAgent("left", "r1")), AGENT_MISSING);
    await front.registerAgent("left", "r1");
    assert.equal(await agentsIn(front), ["kept", "left"]);
  },
  "keeps what is renewed for longer than its lease": async (stage) => {
    const front = await stage.front();
    await front.registerRelay(relay("r1"));
    await front.registerRelay(relay("again"));
    await front.registerAgent("a1", "r1");
    await front.registerAgent("again", "r1");
    await stage.during(stage.times.relayTtlMs * 1.5, async () => {
      await front.heartbeatRelay("r1");
      await front.registerRelay(relay("again"));
      await front.heartbeatAgent("a1", "r1");
      // Neither is missing at any moment, also before the other one is renewed.
      assert.equal(await agentsIn(front), ["a1", "again"]);
      await front.registerAgent("again", "r1");
    });
    assert.equal(await relaysIn(front), ["again", "r1"]);
    assert.equal(await agentsIn(front), ["a1", "again"]);
    assertRecent(stage, (await front.placement("a1")).lastUpdatedUnixMs, stage.times.agentTtlMs);
  },
  "hides the agents of a relay that ended, which its next incarnation does not bring back": async (
    stage,
  ) => {
    const front = await stage.front();
    await front.registerRelay(relay("r1"));
    await front.registerRelay(relay("r2"));
    await front.registerAgent("a1", "r1");
    await front.registerAgent("a2", "r2");
    await stage.until("relay r1 ends", async () => {
      await front.heartbeatRelay("r2");
      await front.heartbeatAgent("a2", "r2");
      // Renewed for as long as its relay lives: it ends by the relay alone.
      if (await isGone(front.heartbeatAgent("a1", "r1"))) {
        assert.is(await messageOf(front.heartbeatRelay("r1")), RELAY_MISSING);
        return true;
      }
      return false;
    });
    assert.is(await messageOf(front.placement("a1")), AGENT_MISSING);
    assert.equal(await agentsIn(front), ["a2"]);
    assert.equal(await relaysIn(front), ["r2"]);
    assert.equal(await front.agentsOf("r1"), []);
    await front.registerRelay(relay("r1"));
    assert.is(await messageOf(front.placement("a1")), AGENT_MISSING);
    assert.is(await messageOf(front.heartbeatAgent("a1", "r1")), AGENT_MISSING);
    assert.is(await messageOf(front.heartbeatAgent("a1", undefined)), AGENT_MISSING);
    assert.equal(await agentsIn(front), ["a2"]);
    assert.equal(await front.agentsOf("r1"), []);
    await front.registerAgent("a1", "r1");
    assert.is((await front.placement("a1")).relayId, "r1");
  },
  "hides no agent that was taken over before its relay ended": async (stage) => {
    const front = await stage.front();
    await front.registerRelay(relay("r1"));
    await front.registerRelay(relay("r2"));
    await front.registerAgent("a1", "r1");
    await front.registerAgent("a1", "r2");
    await stage.until("relay r1 ends", async () => {
      await front.heartbeatRelay("r2");
      await front.heartbeatAgent("a1", "r2");
      return !(await relaysIn(front)).includes("r1");
    });
    assert.is((await front.placement("a1")).relayId, "r2");
    await front.registerRelay(relay("r1"));
    assert.is(await messageOf(front.heartbeatAgent("a1", "r1")), AGENT_MISSING);
    assert.is((await front.placement("a1")).relayId, "r2");
  },
  "trusts its own clock alone, not those of fronts ten minutes apart": async (stage) => {
    const early = await stage.front({ clockOffsetMs: -CLOCK_OFFSET_MS });
    const late = await stage.front({ clockOffsetMs: CLOCK_OFFSET_MS });
    await early.registerRelay(relay("r1"));
    await late.registerAgent("a1", "r1");
    await late.registerRelay(relay("r2"));
    await early.registerAgent("a2", "r2");
    for (const front of [early, late]) {
      assert.equal(await relaysIn(front), ["r1", "r2"]);
      for (const { lastHeartbeatUnixMs } of await front.listRelays()) {
        assertRecent(stage, lastHeartbeatUnixMs);
      }
      assert.equal(await agentsIn(front), ["a1", "a2"]);
      assertRecent(stage, (await front.placement("a1")).lastUpdatedUnixMs);
      assertRecent(stage, (await front.placement("a2")).lastUpdatedUnixMs);
    }
    await stage.until("both relays end", async () => (await relaysIn(early)).length === 0);
    assert.equal(await agentsIn(late), []);
  },
};

const RACES: Record<string, Check> = {
  "leaves an agent with one of the relays that take it over at once": async (stage) => {
    const fronts = [await stage.front(), await stage.front(), await stage.front()];
    const [front] = fronts as [RelayRegistry, RelayRegistry, RelayRegistry];
    for (const id of ["r0", "r1", "r2"]) await front.registerRelay(relay(id));
    await front.registerAgent("a1", "r0");
    for (let round = 0; round < 10; round++) {
      await Promise.all(fronts.map((each, index) => each.registerAgent("a1", `r${index}`)));
      const { relayId } = await front.placement("a1");
      const holders: string[] = [];
      for (const id of ["r0", "r1", "r2"]) {
        if ((await front.agentsOf(id)).length > 0) holders.push(id);
        const renewed = await codeOf(front.heartbeatAgent("a1", id));
        assert.is(renewed, id === relayId ? "ok" : "not_found");
      }
      assert.equal(holders, [relayId]);
      assert.equal(await agentsIn(front), ["a1"]);
    }
  },
  "lets no heartbeat of the old relay undo a takeover that runs beside it": async (stage) => {
    const [old, next] = [await stage.front(), await stage.front()];
    await old.registerRelay(relay("r1"));
    await old.registerRelay(relay("r2"));
    for (let round = 0; round < 10; round++) {
      await old.registerAgent("a1", "r1");
      const beats = [1, 2, 3].map(() => codeOf(old.heartbeatAgent("a1", "r1")));
      await next.registerAgent("a1", "r2");
      for (const code of await Promise.all(beats)) assert.ok(["ok", "not_found"].includes(code));
      assert.is((await old.placement("a1")).relayId, "r2");
      assert.is(await codeOf(old.heartbeatAgent("a1", "r1")), "not_found");
    }
  },
  "gives a relay that several fronts register at once one incarnation": async (stage) => {
    const fronts = [await stage.front(), await stage.front(), await stage.front()];
    const outcomes = await Promise.all(fronts.map(async (front, index) => {
      await front.registerRelay(relay("r1", `host ${index}`));
      await front.registerAgent(`a${index}`, "r1");
      return await codeOf(front.heartbeatAgent(`a${index}`, "r1"));
    }));
    assert.equal(outcomes, ["ok", "ok", "ok"]);
    assert.equal(await agentsIn(fronts[0]!), ["a0", "a1", "a2"]);
    assert.is((await fronts[0]!.listRelays()).length, 1);
  },
  "keeps the address of a registration that heartbeats run beside": async (stage) => {
    const [front, other] = [await stage.front(), await stage.front()];
    await front.registerRelay(relay("r1", "before"));
    for (let round = 0; round < 10; round++) {
      await Promise.all([
        front.registerRelay(relay("r1", `host ${round}`)),
        ...[1, 2, 3].map(() => other.heartbeatRelay("r1")),
      ]);
      assert.is((await other.listRelays())[0]?.address, `host ${round}`);
    }
  },
};

/** @param sinceMs the age that the time may have besides the error of the clock. */
function assertRecent(stage: RelayStage, unixMs: number, sinceMs = 0): void {
  const apartMs = Math.abs(stage.unixMs() - unixMs);
  // Calls of a busy machine take a while.
  const apartMsMax = stage.clockErrorMs + sinceMs + 3_000;
  assert.ok(apartMs <= apartMsMax, `The backend's time is ${apartMs} ms apart: ${apartMsMax}`);
}
