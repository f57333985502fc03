/** The events that end the sessions of an identity or admit it again. */
import type { Lineage } from "../enrolment_records.ts";
import type { TokenGrant, TokenGrants } from "../token_grants.ts";
import type { Ban } from "./ban.ts";

/** The revocations of a state. */
export interface RevocationState {
  readonly grants: TokenGrants;
  /** Returns a lineage by its number. */
  lineage(number: number): Lineage | undefined;
  /** Returns all bans that were not lifted, including expired ones. */
  bans(): Ban[];
  /** Returns the stopped lineages that are still kept. */
  stoppedLineages(): Iterable<Lineage>;
}

/** Receiver of revocations, called in the turn of the apply. */
export interface RevocationSink {
  banned(ban: Ban): void;
  lifted(ban: Pick<Ban, "kind" | "name">): void;
  stopped(lineage: Lineage): void;
  /** Called when a token grants something until it expires. */
  granted(grant: TokenGrant): void;
  /** Called when the whole state was replaced, as by an image. */
  replaced(state: RevocationState): void;
}

/** The place of the receiver; undefined while there is none. */
export interface Revocations {
  sink: RevocationSink | undefined;
}
