/**
 * Validation and normalization of ban names. A name is brought to the spelling with which sessions,
 * certificates and tokens are compared, so that no ban is accepted that could never match.
 */
import { RegistryError } from "../../base/errors.ts";
import { isUuidText } from "../../base/uuid.ts";
import { BAN_KINDS, type BanKind } from "../../../schemas/gen/wire.ts";
import type { IdentityState } from "../../system/identity_state.ts";
import { parseSpiffeId } from "../../../identity/pki/spiffe.ts";

/** Kind and name of a ban's target. */
export interface BanName {
  readonly kind: BanKind;
  readonly name: string;
}

/**
 * Returns the stored spelling of a name: a SPIFFE id or the UUID of a token or capability in lower
 * case, a lineage in decimal.
 *
 * @param trustDomain trust domain of the node; absent: the node has none, and any is accepted.
 * @throws RegistryError `invalid_argument`.
 */
export function canonicalBanName({ kind, name }: BanName, trustDomain?: string): string {
  const text = name.trim();
  switch (kind) {
    case "subject": {
      const subject = text.toLowerCase();
      const { trustDomain: found } = parseSpiffeId(subject, "name");
      if (trustDomain === undefined || trustDomain === found) return subject;
      throw invalid(`be of the trust domain ${trustDomain}`, name);
    }
    case "lineage":
      if (/^[1-9][0-9]{0,9}$/.test(text) && Number(text) <= 0xffff_ffff) return text;
      throw invalid("be the number of a lineage, which crs … get shows of a record's writer", name);
    case "token":
      if (isUuidText(text)) return text.toLowerCase();
      throw invalid("be the id of a token, a UUID: its claim jti", name);
    case "capability":
      if (isUuidText(text)) return text.toLowerCase();
      throw invalid("be the id of a capability, which crs identity capability inspect shows", name);
  }
}

/**
 * Reports whether group 0 knows a certificate, or a token with grants, of that name. It keeps no list
 * of capabilities.
 */
export function isKnownName({ kind, name }: BanName, state: IdentityState): boolean {
  switch (kind) {
    case "subject":
      return state.lineageOf(name) !== undefined ||
        [...state.stoppedLineages()].some(({ subject }) => subject === name);
    case "lineage":
      return state.lineage(Number(name)) !== undefined;
    case "token":
      return state.grants.get(name) !== undefined;
    case "capability":
      return false;
  }
}

/**
 * Returns the stored name of a ban to be lifted: the name as given if a ban with it is stored,
 * otherwise the canonical name.
 */
export function keptBanName(ban: BanName, state: IdentityState): string {
  // Earlier versions accepted names that no session can have; those bans must be liftable too.
  const isKept = state.banOf(BAN_KINDS[ban.kind], ban.name, 0) !== undefined;
  return isKept ? ban.name : canonicalBanName(ban);
}

/** Returns the description of a ban for the audit log. */
export function banDetail(
  { kind, reason, untilMs, lifted }: {
    readonly kind: BanKind;
    readonly reason: string;
    readonly untilMs: number;
    readonly lifted: boolean;
  },
): string {
  const until = untilMs === 0 ? "until it is lifted" : `until ${new Date(untilMs).toISOString()}`;
  const what = lifted ? kind : `${kind}, ${until}`;
  return reason === "" ? what : `${what}: ${reason}`;
}

function invalid(wanted: string, found: string): RegistryError {
  return new RegistryError(
    "invalid_argument",
    `name must ${wanted}: found ${JSON.stringify(found.slice(0, 128))}`,
    { field: "name" },
  );
}
