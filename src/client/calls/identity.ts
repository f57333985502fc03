/**
 * Calls on identities: join tokens, certificates, tokens, bans and the audit log. Certificates are
 * opaque bytes here; `identity/` parses and stores them.
 */
import { BAN_KIND_NAMES, BAN_KINDS, type BanEntry } from "../../../schemas/gen/wire.ts";
import { decodeBase64url } from "../../base/base64url.ts";
import type { Input } from "../../../schemas/runtime/writer.ts";
import type { RequestOf } from "../../wire/operations/mod.ts";
import { encodeCaveat } from "../../../identity/capabilities/caveat.ts";
import { concatBytes } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import type { Grants, Role } from "../../base/peer.ts";
import { parseUuid } from "../../base/uuid.ts";
import { kindNamed, type RecordKindName } from "../../record/kinds.ts";
import { OPERATIONS } from "../../wire/operations/mod.ts";
import type { CallOptions } from "../call_options.ts";
import { ask, type Invoker } from "../invoker.ts";
import type {
  AuditEntries,
  BanOrder,
  BanResult,
  Bans,
  CapabilityOrder,
  EnrolOrder,
  IssuedIdentity,
  KnownIdentity,
  LineageInfo,
  ListedBan,
  MadeJoinToken,
  RenewalOrder,
  TokenIssue,
  VerifiedCapability,
} from "../identity_types.ts";

/** The operations on identities. All methods reject with `RegistryError`. */
export interface IdentityClient {
  /** Creates a one-time token for a subject's first certificate. Controllers only. */
  createJoinToken(subject: string, grants: Grants, options?: CallOptions): Promise<MadeJoinToken>;
  /** Issues a first certificate to the holder of a join token. */
  enrol(order: EnrolOrder, options?: CallOptions): Promise<IssuedIdentity>;
  /** Issues the next certificate to the holder of the current one, who must prove possession. */
  renew(order: RenewalOrder, options?: CallOptions): Promise<IssuedIdentity>;
  /** Mints a token bound to this client's certificate. @param lifeMs at most 15 minutes. */
  mintToken(audience: string, lifeMs: number, options?: CallOptions): Promise<string>;
  /** Returns the public keys that verify tokens, as a JWK Set. */
  tokenKeys(options?: CallOptions): Promise<string>;
  /** Returns the signed trust bundle; empty if there is none. */
  trustBundle(options?: CallOptions): Promise<string>;
  /**
   * Bans a subject, lineage, token or capability: ends its sessions everywhere and refuses new ones.
   * Controllers only.
   */
  ban(order: BanOrder, options?: CallOptions): Promise<BanResult>;
  /**
   * Returns a page of the bans not lifted, starting at index `first` (from 0). Controllers only.
   */
  bans(first: number, limit: number, options?: CallOptions): Promise<Bans>;
  /** Lifts a ban. Controllers only. @throws RegistryError `not_found` if there is no such ban. */
  unban(order: Omit<BanOrder, "untilMs">, options?: CallOptions): Promise<void>;
  /**
   * Returns a page of the audit log, from entry number `first` (counted from 1). Controllers only.
   */
  audit(first: number, limit: number, options?: CallOptions): Promise<AuditEntries>;
  /** Returns a lineage, for example that of a record's writer. */
  lineage(lineage: number, options?: CallOptions): Promise<LineageInfo>;
  /** Returns this client's own identity, as the registry knows it. */
  whoAmI(options?: CallOptions): Promise<KnownIdentity>;
  /** Removes another owner's record, by right of administration; audited. Controllers only. */
  removeRecord(kind: RecordKindName, id: string, options?: CallOptions): Promise<number>;
  /** Ends a node's membership and its certificates permanently; audited. Controllers only. */
  removeMember(nodeId: number, options?: CallOptions): Promise<void>;
  /**
   * Issues a token with its own grants for a subject's latest certificate; audited. Controllers
   * only.
   *
   * @throws RegistryError `not_found` if the subject has no certificate.
   */
  issueToken(order: TokenIssue, options?: CallOptions): Promise<string>;
  /** Mints a capability; audited. Controllers only. */
  mintCapability(order: CapabilityOrder, options?: CallOptions): Promise<string>;
  /**
   * Has a capability verified: signature, expiry and bans. Its caveats on the request stay to be
   * checked by whoever serves it.
   *
   * @throws RegistryError `unauthenticated` with the fault.
   */
  verifyCapability(capability: string, options?: CallOptions): Promise<VerifiedCapability>;
}

function banOfEntry({ kind: number, untilMs, unixS, ...ban }: BanEntry): ListedBan {
  const kind = BAN_KIND_NAMES[number];
  if (kind === undefined) {
    throw new RegistryError(
      "malformed",
      `Kind of a ban must be 1 to 4: current value is ${number}`,
    );
  }
  return { ...ban, kind, untilMs: untilMs === 0 ? null : untilMs, madeAtMs: unixS * 1_000 };
}

/** Implements {@link IdentityClient} by an invoker. */
export class IdentityCalls implements IdentityClient {
  readonly #invoker: Invoker;

  constructor(invoker: Invoker) {
    this.#invoker = invoker;
  }

  createJoinToken(
    subject: string,
    grants: Grants,
    options?: CallOptions,
  ): Promise<MadeJoinToken> {
    return this.#createJoinToken({ subject, ...grantsBody(grants) }, options);
  }

  enrol(order: EnrolOrder, options?: CallOptions): Promise<IssuedIdentity> {
    const body = { timeMs: 0, proof: new Uint8Array(0), ...order };
    return ask(this.#invoker, "enrol", body, options);
  }

  renew(order: RenewalOrder, options?: CallOptions): Promise<IssuedIdentity> {
    return ask(this.#invoker, "renewIdentity", order, options);
  }

  async mintToken(audience: string, lifeMs: number, options?: CallOptions): Promise<string> {
    const { text } = await ask(this.#invoker, "mintToken", { audience, lifeMs }, options);
    return text;
  }

  async tokenKeys(options?: CallOptions): Promise<string> {
    const { text } = await ask(this.#invoker, "getTokenKeys", {}, options);
    return text;
  }

  async trustBundle(options?: CallOptions): Promise<string> {
    const { text } = await ask(this.#invoker, "getTrustBundle", {}, options);
    return text;
  }

  ban(order: BanOrder, options?: CallOptions): Promise<BanResult> {
    return ask(this.#invoker, "ban", banBody(order), options);
  }

  bans(first: number, limit: number, options?: CallOptions): Promise<Bans> {
    // Decoded by hand, so that a reply with an unknown kind ends the connection as malformed.
    return this.#invoker.invoke(
      "listBans",
      { first, limit },
      (response) => {
        const { bans, count } = response.bodyInto(OPERATIONS.listBans.reply.newView()).toPlain();
        return { bans: bans.map(banOfEntry), count };
      },
      options,
    );
  }

  async unban(order: Omit<BanOrder, "untilMs">, options?: CallOptions): Promise<void> {
    await ask(this.#invoker, "unban", banBody(order), options);
  }

  audit(first: number, limit: number, options?: CallOptions): Promise<AuditEntries> {
    return ask(this.#invoker, "readAudit", { first, limit }, options);
  }

  lineage(lineage: number, options?: CallOptions): Promise<LineageInfo> {
    return ask(this.#invoker, "getLineage", { lineage }, options);
  }

  async whoAmI(options?: CallOptions): Promise<KnownIdentity> {
    const { role, expiresAtMs, domains, gateways, credentialHashes, reads, ...known } = await ask(
      this.#invoker,
      "whoAmI",
      {},
      options,
    );
    return {
      ...known,
      role: role as Role,
      expiresAtMs: expiresAtMs === 0 ? null : expiresAtMs,
      grants: { domains, gateways, credentialHashes, reads },
    };
  }

  async removeRecord(
    kind: RecordKindName,
    id: string,
    options?: CallOptions,
  ): Promise<number> {
    const body = { kind: kindNamed(kind).number, id: parseUuid(id) };
    const { removed } = await ask(this.#invoker, "removeRecord", body, options);
    return removed;
  }

  async removeMember(nodeId: number, options?: CallOptions): Promise<void> {
    await ask(this.#invoker, "removeMember", { nodeId }, options);
  }

  async issueToken({ grants, ...order }: TokenIssue, options?: CallOptions): Promise<string> {
    const body = { ...order, ...grantsBody(grants) };
    const { text } = await ask(this.#invoker, "issueToken", body, options);
    if (limitsOf(text) !== body.reads.length) throw noReadLimits();
    return text;
  }

  async #createJoinToken(
    body: Input<RequestOf<"createJoinToken">>,
    options?: CallOptions,
  ): Promise<MadeJoinToken> {
    const { readLimits, ...made } = await ask(this.#invoker, "createJoinToken", body, options);
    if (readLimits !== body.reads.length) throw noReadLimits();
    return made;
  }

  async mintCapability(order: CapabilityOrder, options?: CallOptions): Promise<string> {
    const caveats = concatBytes(order.caveats.map(encodeCaveat));
    const body = { caveats, lifeMs: order.lifeMs };
    const { text } = await ask(this.#invoker, "mintCapability", body, options);
    return text;
  }

  verifyCapability(capability: string, options?: CallOptions): Promise<VerifiedCapability> {
    return ask(this.#invoker, "verifyCapability", { capability }, options);
  }
}

function grantsBody({ domains, gateways, credentialHashes = false, reads = [] }: Grants) {
  return { domains, gateways, credentialHashes, reads };
}

/** Returns the number of limits on reads in a token that the registry minted. */
function limitsOf(token: string): number {
  const payload = decodeBase64url(token.split(".")[1] ?? "");
  const { grants } = JSON.parse(new TextDecoder().decode(payload)) as {
    readonly grants: { readonly reads?: readonly unknown[] };
  };
  return grants.reads?.length ?? 0;
}

function noReadLimits(): RegistryError {
  return new RegistryError(
    "unsupported_version",
    "The registry ignored the limits on reads, which its program does not know: what it made is not " +
      "returned. Update its nodes first",
  );
}

function banBody({ kind, name, reason = "", untilMs = 0 }: BanOrder) {
  return { kind: BAN_KINDS[kind], name, reason, untilMs };
}
