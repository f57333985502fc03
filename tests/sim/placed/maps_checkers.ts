/** The checkers of what programs of the Maps protocol are told about names, and who holds them. */
import type { ErrorCode } from "../../../src/base/errors.ts";
import { Finding } from "../history.ts";
import type { PlacedChecker } from "./checker.ts";
import { MAPS_TTL_MS, type MapsAnswered, type MapsCall, mapsCallName } from "./maps.ts";

/** Codes that an operating condition explains. */
const EXPECTED_CODES: ReadonlySet<ErrorCode | "ok"> = new Set<ErrorCode | "ok">([
  "ok",
  "not_found",
  "permission_denied",
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

/** Programs meet only errors that an operating condition explains. */
class ExpectedMapsCodes implements PlacedChecker {
  readonly name = "maps_codes";

  mapsAnswered(answer: MapsAnswered): void {
    if (EXPECTED_CODES.has(answer.code)) return;
    throw new Finding(this.name, `${mapsCallName(answer)}: ${answer.message}`);
  }
}

/** An id that was given for a credential and a name stays the same, however often it is registered. */
class StableIds implements PlacedChecker {
  readonly name = "stable_ids";
  readonly #ids = new Map<string, string>();

  mapsAnswered(answer: MapsAnswered): void {
    if (answer.shown === undefined) return;
    const { credential, id } = answer.shown;
    const key = `${answer.name} ${credential}`;
    const before = this.#ids.get(key) ?? id;
    this.#ids.set(key, before);
    if (before === id) return;
    throw new Finding(this.name, `${mapsCallName(answer)} shows ${id}, before it was ${before}`);
  }
}

/** A certain fact: a credential holds a name until then. */
interface SureHolder {
  readonly credential: string;
  readonly untilMs: number;
}

/**
 * A name has one holder in all regions: while the lease of one lasts, no registration by another credential
 * succeeds, and reads show that one.
 */
class OneHolder implements PlacedChecker {
  readonly name = "one_holder";
  readonly #holders = new Map<string, SureHolder>();
  /** By the place of a call: who surely held the name when it began. */
  readonly #before = new Map<number, SureHolder | undefined>();

  mapsCalled({ calledAt, name }: MapsCall): void {
    this.#before.set(calledAt, this.#holders.get(name));
  }

  mapsAnswered(answer: MapsAnswered): void {
    const { answeredMs, calledAt, calledMs, code, credential, name } = answer;
    const sure = this.#before.get(calledAt);
    this.#before.delete(calledAt);
    if (sure !== undefined && sure.untilMs - DRIFT_MS_MAX > answeredMs && isWrong(answer, sure)) {
      throw new Finding(
        this.name,
        `${mapsCallName(answer)} shows ${answer.shown?.credential ?? "nobody"}, although ` +
          `${sure.credential} holds it until ${sure.untilMs.toFixed(1)} ms`,
      );
    }
    if (!isRegistration(answer) || code !== "ok") return;
    const untilMs = calledMs + MAPS_TTL_MS;
    if ((this.#holders.get(name)?.untilMs ?? 0) > untilMs) return;
    this.#holders.set(name, { credential, untilMs });
  }
}

/** Reports whether an answer contradicts that a credential holds the name. */
function isWrong(answer: MapsAnswered, sure: SureHolder): boolean {
  const { code, credential, kind, shown } = answer;
  const isOwn = credential === sure.credential;
  if (isRegistration(answer)) return code === (isOwn ? "permission_denied" : "ok");
  // The id of a gateway is made of its credential. That of an earlier holder of the endpoint may outlive
  // the claim, which is made before it.
  if (kind === "gateway" && !isOwn) return false;
  return code === "not_found" || (code === "ok" && shown?.credential !== sure.credential);
}

function isRegistration({ kind }: MapsCall): boolean {
  return kind === "register_agent" || kind === "register_gateway";
}

/** Makers of these checkers. */
export const MAPS_CHECKERS: readonly (() => PlacedChecker)[] = [
  () => new ExpectedMapsCodes(),
  () => new StableIds(),
  () => new OneHolder(),
];
