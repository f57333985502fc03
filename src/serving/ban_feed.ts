/**
 * Applies bans and stopped lineages of group 0 to sessions and records. A change applied in group 0
 * ends the affected sessions of this node in the same turn and has the affected records checked
 * (`rights_enforcer.ts`). A stopped lineage counts as banned for as long as one of its leaves could
 * be presented.
 *
 * Clock assumption: the wall clock decides when a ban has ended; a clock that is behind keeps the
 * ban longer.
 */
import { IDENTITY_CHECK_MS, RENEWAL_GRACE_MS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Scheduler, Timer, WallClock } from "../base/world.ts";
import type { Lineage } from "../system/enrolment_records.ts";
import { BAN_KIND_NAMES } from "../../schemas/gen/wire.ts";
import type { Ban, RevocationSink, RevocationState } from "../system/identity_state.ts";
import type { TokenGrant } from "../system/token_grants.ts";
import type { BanList, EnforcedBan as ListedBan } from "../../identity/trust/ban_list.ts";
import type { RightsEnforcer } from "./rights_enforcer.ts";

/** Keeps a ban list in step with group 0. */
export class BanFeed implements RevocationSink {
  readonly #bans: BanList;
  readonly #wall: WallClock;
  readonly #scheduler: Scheduler;
  readonly #logger: Logger;
  readonly #records: RightsEnforcer;
  #state: RevocationState | undefined;
  #timer: Timer | undefined;

  constructor(options: {
    bans: BanList;
    wall: WallClock;
    scheduler: Scheduler;
    logger: Logger;
    records: RightsEnforcer;
  }) {
    this.#bans = options.bans;
    this.#wall = options.wall;
    this.#scheduler = options.scheduler;
    this.#logger = options.logger;
    this.#records = options.records;
  }

  /** Starts removing ended bans periodically. */
  start(): void {
    this.#timer = this.#scheduler.after(IDENTITY_CHECK_MS, () => {
      this.#bans.dropEnded(this.#wall.unixMs());
      this.start();
    });
  }

  /** Enforces what holds by the wall clock as it was set; one that was set back revives bans. */
  clockStepped(): void {
    if (this.#state !== undefined) this.replaced(this.#state);
  }

  /** Stops removing ended bans. */
  stop(): void {
    this.#timer?.cancel();
  }

  banned(ban: Ban): void {
    this.#enforce(ban);
    this.#records.suspectOf(ban);
  }

  lifted({ kind, name }: Pick<Ban, "kind" | "name">): void {
    const found = BAN_KIND_NAMES[kind];
    if (found === undefined) return;
    this.#bans.unban(found, name);
    // A lineage that was stopped for another reason stays stopped.
    const lineage = found === "lineage" ? this.#state?.lineage(Number(name)) : undefined;
    if (lineage?.stopped !== undefined) this.#stop(lineage);
    this.#records.suspectOf({ kind, name });
  }

  stopped(lineage: Lineage): void {
    this.#stop(lineage);
    this.#records.suspect(lineage.subject);
  }

  granted({ untilMs }: TokenGrant): void {
    this.#records.endsAt(untilMs);
  }

  replaced(state: RevocationState): void {
    this.#state = state;
    this.#bans.replaceAll([]);
    for (const ban of state.bans()) this.#enforce(ban);
    for (const lineage of state.stoppedLineages()) this.#stop(lineage);
    this.#records.suspectAll();
  }

  #enforce({ kind, name, reason, untilMs }: Ban): void {
    const found = BAN_KIND_NAMES[kind];
    if (found === undefined) return;
    this.#add({ kind: found, name, reason, ...(untilMs === 0 ? {} : { untilMs }) });
  }

  #stop({ lineage, stopped, latest }: Lineage): void {
    const untilMs = latest.notAfterMs + RENEWAL_GRACE_MS_MAX;
    const reason = `it was ${stopped}`;
    this.#add({ kind: "lineage", name: String(lineage), reason, untilMs });
  }

  #add(ban: ListedBan): void {
    if (ban.untilMs !== undefined && ban.untilMs <= this.#wall.unixMs()) return;
    try {
      this.#bans.ban(ban);
    } catch (error) {
      // Apply must go on; the log says which ban is not enforced on this node.
      this.#logger.error("A ban cannot be enforced", { kind: ban.kind, name: ban.name, error });
    }
  }
}
