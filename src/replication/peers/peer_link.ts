/** The link to one other member: its present session, and the counts that outlive sessions. */
import type { NodeId } from "../../base/ids.ts";
import type { LogFacts, Logger } from "../../base/logger.ts";
import type { RegistryError } from "../../base/errors.ts";
import { PEER_LOG_LINES, PEER_LOG_LINES_PER_SECOND } from "../../base/limits.ts";
import { TokenBucket } from "../../base/token_bucket.ts";
import type { MonotonicClock } from "../../base/world.ts";
import type { PeerInput } from "../group_host.ts";
import { PeerCounts } from "./peer_counts.ts";
import type { PartialImages } from "./partial_images.ts";
import type { PeerMember } from "./peer_member.ts";
import type { PeerSession } from "./peer_session.ts";

/** Told when a session with a node is established, and when one ended. */
export type PeerLinkEvents = Pick<PeerInput, "peerConnected" | "peerLost">;

/** The link to one node. */
export class PeerLink {
  readonly node: NodeId;
  readonly counts = new PeerCounts();
  /** The images from the node that were cut. */
  readonly partials: PartialImages;
  /** The member as it is now. */
  member: PeerMember;
  readonly #events: PeerLinkEvents;
  readonly #logger: Logger;
  readonly #clock: MonotonicClock;
  /** The lines that may be logged: a session that opens and breaks must not flood the log. */
  readonly #lines: TokenBucket;
  /** Lines that were not logged since the last one. */
  #unlogged = 0;
  #session: PeerSession | undefined;
  /** The one that it replaced, while images pass on it. */
  #replaced: PeerSession | undefined;
  /** The codes of the refusals that were logged; refusals repeat until somebody acts. */
  readonly #logged = new Set<string>();
  /** Why no session is taken any more. */
  #closedFor: RegistryError | undefined;

  constructor(
    member: PeerMember,
    events: PeerLinkEvents,
    { logger, clock, partials }: {
      readonly logger: Logger;
      readonly clock: MonotonicClock;
      readonly partials: PartialImages;
    },
  ) {
    this.partials = partials;
    this.node = member.nodeId;
    this.member = member;
    this.#events = events;
    this.#logger = logger.child({ peer: member.nodeId });
    this.#clock = clock;
    this.#lines = new TokenBucket({
      ratePerSecond: PEER_LOG_LINES_PER_SECOND,
      burst: PEER_LOG_LINES,
      nowMs: clock.nowMs(),
    });
  }

  /** The present session; undefined if there is none. */
  get session(): PeerSession | undefined {
    return this.#session;
  }

  /** Whether the node is no member any more, or this node stops. */
  get isClosed(): boolean {
    return this.#closedFor !== undefined;
  }

  /**
   * Takes an established session, which replaces the present one. A session that was replaced earlier
   * ends now: a node that keeps images open must not collect sessions.
   */
  adopt(session: PeerSession): void {
    if (this.#closedFor !== undefined) return session.end(this.#closedFor);
    this.#replaced?.end(undefined);
    this.#replaced = this.#session;
    this.#session = session;
    this.counts.sessions++;
    this.#logged.clear();
    this.#log("info", "Connected to a node", { address: session.remoteAddress });
    this.#events.peerConnected(this.node);
    void session.ended.then((reason) => this.#lost(session, reason));
    this.#replaced?.retire();
  }

  /** Logs a refusal or a failed dial, each code once until a session is established. */
  warn(message: string, error: RegistryError): void {
    if (this.#logged.has(error.code)) return;
    this.#logged.add(error.code);
    this.#log("warn", message, { error });
  }

  /** Ends the link. */
  close(reason: RegistryError): void {
    this.#closedFor = reason;
    this.#session?.end(reason);
    this.#replaced?.end(reason);
  }

  #lost(session: PeerSession, reason: RegistryError | undefined): void {
    if (this.#replaced === session) this.#replaced = undefined;
    if (this.#session === session) {
      this.#session = undefined;
      const facts = { reason: reason?.message ?? "goodbye" };
      this.#log("info", "Lost the session with a node", facts);
    }
    this.#events.peerLost(this.node);
  }

  /** Logs a line, or counts it if there were too many; the next one says how many that were. */
  #log(level: "info" | "warn", message: string, facts: LogFacts): void {
    this.#lines.refill(this.#clock.nowMs());
    if (!this.#lines.take(1)) {
      this.#unlogged++;
      return this.#logger.debug(message, facts);
    }
    const unlogged = this.#unlogged;
    this.#unlogged = 0;
    this.#logger[level](message, unlogged === 0 ? facts : { ...facts, unlogged });
  }
}
