/** The checkers of what SDK clients are told. */
import type { ErrorCode } from "../../../src/base/errors.ts";
import { CLIENT_NODE_SILENCE_MS } from "../../../src/base/limits.ts";
import { findNotLinearizable, type RegisterOperation } from "../checkers/register_search.ts";
import { Finding } from "../history.ts";
import type { PlacedChecker } from "./checker.ts";
import type { PlacedCluster } from "./cluster.ts";
import type { LeasePromise } from "./kept_lease.ts";
import { WRITES } from "./sdk_program.ts";
import { ViewAges } from "./watch_checkers.ts";
import { callName, type SdkAnswer, type SdkCall } from "./sdk_history.ts";

/** Codes that a client may meet: the others mean that a node or the SDK has a bug. */
const EXPECTED_CODES: ReadonlySet<ErrorCode | ""> = new Set<ErrorCode | "">([
  "",
  "not_found",
  "superseded",
  "stale_sequence",
  "incarnation_mismatch",
  "domain_taken",
  "claim_revoked",
  "deadline_exceeded",
  "overloaded",
  "storage_unavailable",
  "not_leader",
  "not_replica",
  "shutting_down",
  "connection_lost",
  "too_stale",
]);
/** The time by which a call may be late, ms: its timers have a resolution, and its clock drifts. */
const LATE_MS_MAX = 300;
/** Difference that clocks may reach over the longest lease that clients keep, ms. */
const DRIFT_MS_MAX = 20;
/** Attempts beyond the first at rest: a ring map may name the leader that another node last knew. */
const HOPS_AT_REST_MAX = 2;
/**
 * The same of a read that accepts some age, where leases are off: each of its trips (alias, agent, alias
 * again, gateway) may have gone to a follower, which refuses it.
 */
const HOPS_WITHOUT_PROOFS_MAX = 6;
/** The longest that a call takes at rest, ms. */
const SETTLED_MS_MAX = 100;

function isWrite({ kind }: SdkCall): boolean {
  return WRITES.has(kind);
}

/** Clients meet only errors that an operating condition explains. */
export class ExpectedCodes implements PlacedChecker {
  readonly name = "expected_codes";

  answered(answer: SdkAnswer): void {
    if (EXPECTED_CODES.has(answer.code)) return;
    throw new Finding(this.name, `${callName(answer)}: ${answer.message}`);
  }
}

/** Every call ends within its time limit. */
class CallsEnd implements PlacedChecker {
  readonly name = "calls_end";
  readonly #cluster: PlacedCluster;
  /** When a client was last seen to stand still, by its address. */
  readonly #stoodMs = new Map<number, number>();

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  looked(): void {
    const { load, nowMs } = this.#cluster;
    for (const { machine, open } of load.clients) {
      if (machine.state !== "up") this.#stoodMs.set(machine.id, nowMs);
      // Nothing is late that was called before a stop, as no clock of the client may have run.
      const stoodMs = this.#stoodMs.get(machine.id) ?? 0;
      for (const call of open) {
        const lateMs = Math.max(call.calledMs, stoodMs) + call.timeoutMs * 1.01 + LATE_MS_MAX;
        if (nowMs <= lateMs) continue;
        throw new Finding(this.name, `${callName(call)} has not ended after ${call.timeoutMs} ms`);
      }
    }
  }
}

/** The order of all calls and answers, by true time. */
class Places {
  readonly #places: { readonly ms: number; readonly at: number }[] = [];

  /** Notes that a call or an answer has a place. */
  note(ms: number, at: number): void {
    this.#places.push({ ms, at });
  }

  /**
   * Returns the place at which a read may have taken effect at the earliest: when it was called, or so
   * long before.
   */
  since({ calledAt, calledMs }: SdkCall, ageMs: number): number {
    if (ageMs === 0) return calledAt;
    const before = this.#places.findLast(({ ms }) => ms < calledMs - ageMs);
    return Math.min(calledAt, (before?.at ?? 0) + 0.5);
  }
}

/**
 * Each agent's record is a register: reads, resolutions and lists show what some order of all writes
 * explains. A complete list shows each record once, and proves the absence of what it does not show.
 * A read that accepts some age may show what was there so long before it was called, but no longer.
 */
export class LinearizableRecords implements PlacedChecker {
  readonly name = "linearizability";
  readonly #places = new Places();
  readonly #history: { readonly told: RegisterOperation; readonly by: SdkAnswer }[] = [];

  called({ calledAt, calledMs }: SdkCall): void {
    this.#places.note(calledMs, calledAt);
  }

  answered(answer: SdkAnswer): void {
    const { kind, key, value, end, calledAt, answeredAt, answeredMs, records } = answer;
    if (answeredAt !== Infinity) this.#places.note(answeredMs, answeredAt);
    const note = (told: RegisterOperation) => void this.#history.push({ told, by: answer });
    if (isWrite(answer)) {
      const didNothing = end === "refused" || end === "not_found";
      if (didNothing) return;
      const isRemove = kind === "remove" || kind === "remove_gateway";
      note({
        key,
        kind: isRemove ? "remove" : "write",
        value: isRemove ? undefined : value,
        calledAt,
        answeredAt,
      });
      return;
    }
    // Records that are kept alive end with their leases.
    if (kind === "get_kept") return;
    const shown = new Set<string>();
    for (const record of records) {
      if (Number.isNaN(record.value)) continue;
      const isTwice = shown.has(record.key) && (kind === "list" || kind === "gateways");
      if (isTwice) throw new Finding(this.name, `${callName(answer)} shows ${record.key} twice`);
      if (shown.has(record.key)) continue;
      shown.add(record.key);
      const since = this.#places.since(answer, record.ageMs);
      note({ key: record.key, kind: "read", value: record.value, calledAt: since, answeredAt });
    }
  }

  ended(): void {
    const found = findNotLinearizable(this.#history.map(({ told }) => told));
    if (found === undefined) return;
    const { answer, key, values } = found;
    const describe = (told: RegisterOperation) => {
      const by = this.#history.find((one) => one.told === told) ??
        this.#history.find((one) => one.told.calledAt === told.calledAt);
      return by === undefined ? told.kind : callName(by.by);
    };
    const pending = found.pending.filter((told) => told !== answer).map(describe);
    throw new Finding(
      this.name,
      `No order of the calls on ${key} explains that ${describe(answer)} shows ${answer.value}. ` +
        `Before, it may have held ${values.map((value) => value ?? "nothing").join(" or ")}` +
        (pending.length === 0 ? "" : `; under way were ${pending.join(", ")}`),
    );
  }
}

/** An agent that surely has a domain. */
interface Holding {
  readonly by: SdkAnswer;
  readonly key: string;
  readonly domain: string;
  readonly fromAt: number;
  /** The place of the next call that may end it. */
  readonly untilAt: number;
}

/**
 * While an agent surely has a domain, no other gets it, and it resolves to that agent. An agent surely
 * has a domain from the answer to the write that claimed it, until the next write of its record that does
 * not name it begins, if no such write was under way.
 */
export class DomainHolders implements PlacedChecker {
  readonly name = "domain_holders";
  readonly #writes = new Map<string, SdkAnswer[]>();
  readonly #open = new Map<SdkCall["calledAt"], SdkCall>();
  readonly #places = new Places();
  readonly #reads: SdkAnswer[] = [];

  called(call: SdkCall): void {
    this.#places.note(call.calledMs, call.calledAt);
    if (isWrite(call)) this.#open.set(call.calledAt, call);
  }

  answered(answer: SdkAnswer): void {
    this.#open.delete(answer.calledAt);
    if (answer.answeredAt !== Infinity) this.#places.note(answer.answeredMs, answer.answeredAt);
    for (const { domain, holder, named } of answer.domains) {
      if (holder === undefined || named === domain) continue;
      throw new Finding(this.name, `${callName(answer)} shows an agent of ${named} at ${domain}`);
    }
    if (answer.domains.length > 0) this.#reads.push(answer);
    if (!isWrite(answer) || answer.end === "refused") return;
    const known = this.#writes.get(answer.key);
    if (known === undefined) this.#writes.set(answer.key, [answer]);
    else known.push(answer);
  }

  ended(): void {
    const holdings = [...this.#writes.values()].flatMap((writes) => this.#holdings(writes));
    const byDomain = Map.groupBy(holdings, ({ domain }) => domain);
    for (const writes of this.#writes.values()) {
      for (const write of writes) {
        if (write.end !== "ok" || write.domain === "") continue;
        const other = (byDomain.get(write.domain) ?? []).find(({ key, fromAt, untilAt }) =>
          key !== write.key && fromAt <= write.calledAt && write.answeredAt <= untilAt
        );
        if (other === undefined) continue;
        throw new Finding(this.name, `${callName(write)} got the domain of ${callName(other.by)}`);
      }
    }
    for (const read of this.#reads) {
      for (const { ageMs, domain, holder } of read.domains) {
        const since = this.#places.since(read, ageMs);
        const wrong = (byDomain.get(domain) ?? []).find(({ key, fromAt, untilAt }) =>
          key !== holder && fromAt <= since && read.answeredAt <= untilAt
        );
        if (wrong === undefined) continue;
        throw new Finding(
          this.name,
          `${callName(read)} shows ${holder ?? "nothing"} at ${domain}, which ` +
            `${callName(wrong.by)} has`,
        );
      }
    }
  }

  #holdings(writes: readonly SdkAnswer[]): Holding[] {
    const all: readonly (SdkAnswer | SdkCall)[] = [...writes, ...this.#open.values()];
    return writes.flatMap((by): Holding[] => {
      const { key, domain, end, calledAt, answeredAt } = by;
      if (end !== "ok" || domain === "") return [];
      let untilAt = Infinity;
      for (const other of all) {
        // Whoever names the domain again keeps it.
        if (other.key !== key || other.domain === domain) continue;
        const answered = "answeredAt" in other ? other.answeredAt : Infinity;
        if (answered < calledAt) continue;
        if (other.calledAt < answeredAt) return [];
        untilAt = Math.min(untilAt, other.calledAt);
      }
      return [{ by, key, domain, fromAt: answeredAt, untilAt }];
    });
  }
}

/**
 * Once nothing moves, clients know where everything is: all calls succeed at once, but for a hop. Reads
 * that accept some age also go to replicas that the client has not asked since they were killed.
 */
class SettledCalls implements PlacedChecker {
  readonly name = "settled_calls";
  readonly #cluster: PlacedCluster;

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  answered(answer: SdkAnswer): void {
    if (!this.#cluster.isSettled) return;
    const { answeredMs, calledMs, end, maxStalenessMs, retries } = answer;
    const isProven = maxStalenessMs === 0 || this.#cluster.plan.leases;
    const hopsMax = isProven ? HOPS_AT_REST_MAX : HOPS_WITHOUT_PROOFS_MAX;
    const lostMs = maxStalenessMs === 0 ? 0 : 2 * CLIENT_NODE_SILENCE_MS * retries;
    const isWell = end !== "unknown" && retries <= hopsMax &&
      answeredMs - calledMs < SETTLED_MS_MAX + lostMs;
    if (isWell) return;
    throw new Finding(this.name, `${callName(answer)}, in ${1 + retries} attempts, at rest`);
  }
}

/** Facts about a cluster that {@link KeptLeases} needs. */
export interface LeaseFacts {
  /** Whether nothing moves or breaks any more. */
  readonly isSettled: boolean;
  /** Faults that there may be, by name. */
  readonly plan: { readonly faults: { has(fault: "client_stop"): boolean } };
}

/**
 * A record lives as long as the SDK says that it does, by the client's clock. Not judged where clients
 * stand still or are suspended, because the time that a lease has left is not that of the last event then.
 */
export class KeptLeases implements PlacedChecker {
  readonly name = "kept_leases";
  readonly #cluster: LeaseFacts;
  readonly #promises = new Map<string, LeasePromise>();
  /** By the place of a call: what was promised when it began. */
  readonly #known = new Map<number, LeasePromise>();

  constructor(cluster: LeaseFacts) {
    this.#cluster = cluster;
  }

  promised(promise: LeasePromise): void {
    const { untilMs = 0 } = this.#promises.get(promise.key) ?? {};
    if (promise.untilMs > untilMs) this.#promises.set(promise.key, promise);
  }

  called({ calledAt, key, kind }: SdkCall): void {
    const promise = this.#promises.get(key);
    if (kind === "get_kept" && promise !== undefined) this.#known.set(calledAt, promise);
  }

  answered(answer: SdkAnswer): void {
    const { answeredMs, calledAt, end } = answer;
    const promise = this.#known.get(calledAt);
    this.#known.delete(calledAt);
    if (promise === undefined || end !== "not_found") return;
    const { isSettled, plan } = this.#cluster;
    const leftMs = promise.untilMs - answeredMs - DRIFT_MS_MAX;
    if (!isSettled && (leftMs <= 0 || plan.faults.has("client_stop"))) return;
    throw new Finding(
      this.name,
      `${callName(answer)}: client ${promise.client} was promised that it lives until ` +
        `${promise.untilMs.toFixed(1)} ms`,
    );
  }
}

/** Makers of these checkers. */
export const SDK_CHECKERS: readonly ((cluster: PlacedCluster) => PlacedChecker)[] = [
  () => new ExpectedCodes(),
  (cluster) => new CallsEnd(cluster),
  () => new LinearizableRecords(),
  () => new DomainHolders(),
  (cluster) => new SettledCalls(cluster),
  (cluster) => new KeptLeases(cluster),
  (cluster) => new ViewAges(cluster),
];
