/** The checkers of what fronts are told about relays, and about the agents placed at them. */
import type { ErrorCode } from "../../../src/base/errors.ts";
import { comparePositions, NO_POSITION, type Position } from "../../../src/base/position.ts";
import { findNotLinearizable, type RegisterOperation } from "../checkers/register_search.ts";
import { Finding } from "../history.ts";
import type { PlacedChecker } from "./checker.ts";
import {
  AGENT_TTL_MS,
  RELAY_TTL_MS,
  type RelayAnswered,
  type RelayCall,
  relayCallName,
} from "./relays.ts";

/** Codes that an operating condition explains. */
const EXPECTED_CODES: ReadonlySet<ErrorCode | "ok"> = new Set<ErrorCode | "ok">([
  "ok",
  "not_found",
  "superseded",
  "deadline_exceeded",
  "overloaded",
  "storage_unavailable",
  "not_leader",
  "not_replica",
  "shutting_down",
  "connection_lost",
]);
/** Difference that clocks may reach over a lease, ms. */
const DRIFT_MS_MAX = 20;

/** Fronts meet only errors that an operating condition explains. */
class ExpectedRelayCodes implements PlacedChecker {
  readonly name = "relay_codes";

  relayAnswered(answer: RelayAnswered): void {
    if (EXPECTED_CODES.has(answer.code)) return;
    throw new Finding(this.name, `${relayCallName(answer)}: ${answer.message}`);
  }
}

/**
 * An agent is never shown at a relay whose incarnation has ended: a later one began, or it was told that the
 * relay is not registered, before the read was called.
 */
class EndedIncarnations implements PlacedChecker {
  readonly name = "ended_incarnations";
  /** By relay: the latest incarnation that any answer has named, and the latest that has ended. */
  readonly #known = new Map<string, Position>();
  readonly #ended = new Map<string, Position>();
  /** By the place of a call: what was known, and what had ended, when it began. */
  readonly #before = new Map<number, readonly [Map<string, Position>, Map<string, Position>]>();

  relayCalled({ calledAt }: RelayCall): void {
    this.#before.set(calledAt, [new Map(this.#known), new Map(this.#ended)]);
  }

  relayAnswered(answer: RelayAnswered): void {
    const { calledAt, code, created, incarnation, kind, relay, relays, shown } = answer;
    const [known, ended] = this.#before.get(calledAt)!;
    this.#before.delete(calledAt);
    for (const { agent, relay, relayIncarnation } of shown) {
      const last = ended.get(relay) ?? NO_POSITION;
      if (comparePositions(relayIncarnation, last) <= 0) {
        throw new Finding(
          this.name,
          `${relayCallName(answer)} shows ${agent} at incarnation ${relayIncarnation.index} of ` +
            `${relay}, of which ${last.index} had ended`,
        );
      }
      raise(this.#known, relay, relayIncarnation);
    }
    for (const { relay, incarnation } of relays) raise(this.#known, relay, incarnation);
    if (incarnation !== undefined) {
      raise(this.#known, relay, incarnation);
      const { generation, index } = incarnation;
      if (created) raise(this.#ended, relay, { generation, index: index - 1 });
    }
    if (kind === "heartbeat" && code === "not_found") {
      raise(this.#ended, relay, known.get(relay) ?? NO_POSITION);
    }
  }
}

function raise(positions: Map<string, Position>, relay: string, to: Position): void {
  const before = positions.get(relay) ?? NO_POSITION;
  if (comparePositions(to, before) > 0) positions.set(relay, to);
}

/**
 * A takeover is atomic, and a delayed one undoes no later one: some order of all placements of an agent
 * explains which of them reads show.
 */
class AtomicTakeovers implements PlacedChecker {
  readonly name = "atomic_takeovers";
  readonly #history: RegisterOperation[] = [];
  readonly #open = new Map<number, RelayCall>();

  relayCalled(call: RelayCall): void {
    if (call.kind === "place") this.#open.set(call.calledAt, call);
  }

  relayAnswered({ agent, answeredAt, calledAt, code, kind, shown, value }: RelayAnswered): void {
    for (const { agent: key, value } of shown) {
      this.#history.push({ key, kind: "read", value, calledAt, answeredAt });
    }
    if (kind !== "place") return;
    this.#open.delete(calledAt);
    // An attempt before the refused one may have placed it.
    const doneAt = code === "ok" ? answeredAt : Infinity;
    this.#history.push({ key: agent, kind: "write", value, calledAt, answeredAt: doneAt });
  }

  ended(): void {
    const open = [...this.#open.values()].map(({ agent, calledAt, value }): RegisterOperation => (
      { key: agent, kind: "write", value, calledAt, answeredAt: Infinity }
    ));
    const found = findNotLinearizable([...this.#history, ...open]);
    if (found === undefined) return;
    const { answer: { calledAt, value }, key, values } = found;
    throw new Finding(
      this.name,
      `No order of the placements of ${key} explains that the call at place ${calledAt} shows ` +
        `${value}; before, it may have been ${values.map((one) => one ?? "none").join(" or ")}`,
    );
  }
}

/** Certain facts about a relay: since which place one incarnation lives, and until when. */
interface SureRelay {
  readonly sinceAt: number;
  readonly untilMs: number;
}

/** A placement that was answered, or may have been made. */
interface MadePlace {
  readonly relay: string;
  readonly calledAt: number;
  /** Infinity: it may still be made. */
  doneAt: number;
}

/** Certain facts about an agent: a call renewed it at a relay. */
interface SureAgent {
  readonly relay: string;
  readonly calledAt: number;
  readonly answeredAt: number;
  readonly untilMs: number;
}

/**
 * Nothing that is renewed vanishes: a relay lives for its lease from each heartbeat that was accepted, and an
 * agent as long as both its own lease and that of the relay last, wherever it may have moved.
 */
class LiveAgents implements PlacedChecker {
  readonly name = "live_agents";
  readonly #relays = new Map<string, SureRelay>();
  readonly #agents = new Map<string, SureAgent>();
  readonly #places = new Map<string, MadePlace[]>();
  /** By the place of a call: the agents and relays that were sure when it began. */
  readonly #before = new Map<number, readonly [Map<string, SureAgent>, Map<string, SureRelay>]>();

  relayCalled({ agent, calledAt, kind, relay }: RelayCall): void {
    this.#before.set(calledAt, [new Map(this.#agents), new Map(this.#relays)]);
    if (kind !== "place") return;
    const made = this.#places.get(agent) ?? [];
    this.#places.set(agent, [...made, { relay, calledAt, doneAt: Infinity }]);
  }

  relayAnswered(answer: RelayAnswered): void {
    const [agents, relays] = this.#before.get(answer.calledAt)!;
    this.#before.delete(answer.calledAt);
    this.#judge(answer, agents, relays);
    if (answer.code === "ok") this.#note(answer);
  }

  #judge(
    answer: RelayAnswered,
    agents: ReadonlyMap<string, SureAgent>,
    relays: ReadonlyMap<string, SureRelay>,
  ): void {
    const { agent, code, kind, relay } = answer;
    const isGone = code === "not_found";
    if (kind === "heartbeat" && isGone) this.#mustNotLack(answer, relays.get(relay), relay);
    if (kind === "placement" && isGone) this.#mustNotHide(answer, agent, agents.get(agent));
    if (kind === "beat" && isGone) this.#mustNotHide(answer, agent, agents.get(agent), relay);
    if (code !== "ok") return;
    if (kind === "relays") {
      for (const [name, sure] of relays) {
        if (answer.relays.every((one) => one.relay !== name)) this.#mustNotLack(answer, sure, name);
      }
    }
    if (kind === "agents" || kind === "agents_of") {
      for (const [name, sure] of agents) {
        if (answer.shown.some((one) => one.agent === name)) continue;
        this.#mustNotHide(answer, name, sure, kind === "agents" ? undefined : relay);
      }
    }
  }

  #mustNotLack(answer: RelayAnswered, sure: SureRelay | undefined, relay: string): void {
    if (sure === undefined || sure.untilMs - DRIFT_MS_MAX <= answer.answeredMs) return;
    throw new Finding(
      this.name,
      `${relayCallName(answer)} lacks ${relay}, which lives until ${sure.untilMs.toFixed(1)} ms`,
    );
  }

  /** @param at if given, it may be hidden unless it is surely at this relay. */
  #mustNotHide(
    answer: RelayAnswered,
    agent: string,
    sure: SureAgent | undefined,
    at?: string,
  ): void {
    if (sure === undefined || sure.untilMs - DRIFT_MS_MAX <= answer.answeredMs) return;
    const others = (this.#places.get(agent) ?? []).filter(({ doneAt }) => doneAt > sure.calledAt);
    for (const { calledAt, relay } of [sure, ...others]) {
      if (at !== undefined && relay !== at) return;
      const live = this.#relays.get(relay);
      const isLive = live !== undefined && live.sinceAt <= calledAt &&
        live.untilMs - DRIFT_MS_MAX > answer.answeredMs;
      if (!isLive) return;
    }
    throw new Finding(
      this.name,
      `${relayCallName(answer)} lacks ${agent}, which lives until ${sure.untilMs.toFixed(1)} ms, ` +
        `last renewed at ${sure.relay}`,
    );
  }

  #note(answer: RelayAnswered): void {
    const { agent, answeredAt, answeredMs, calledAt, calledMs, created, kind, relay } = answer;
    if (kind === "register" || kind === "heartbeat") {
      const before = this.#relays.get(relay);
      // What was accepted after the lease ended may have been of another incarnation.
      const isSame = !created && before !== undefined &&
        answeredMs < before.untilMs - DRIFT_MS_MAX;
      this.#relays.set(relay, {
        sinceAt: isSame ? before.sinceAt : answeredAt,
        untilMs: Math.max(isSame ? before.untilMs : 0, calledMs + RELAY_TTL_MS),
      });
    }
    if (kind !== "place" && kind !== "beat") return;
    const places = this.#places.get(agent) ?? [];
    for (const place of places) {
      if (kind === "place" && place.calledAt === calledAt) place.doneAt = answeredAt;
    }
    const before = this.#agents.get(agent);
    if (before !== undefined && before.calledAt > calledAt) return;
    const untilMs = calledMs + AGENT_TTL_MS;
    this.#agents.set(agent, { relay, calledAt, answeredAt, untilMs });
  }
}

/** Makers of these checkers. */
export const RELAY_CHECKERS: readonly (() => PlacedChecker)[] = [
  () => new ExpectedRelayCodes(),
  () => new EndedIncarnations(),
  () => new AtomicTakeovers(),
  () => new LiveAgents(),
];
