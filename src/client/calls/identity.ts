/**
 * Calls on identities: join tokens, certificates, tokens, bans and the audit log. Certificates are
 * opaque bytes here; `identity/` parses and stores them.
 */
import {
  auditReplyCodec,
  type BanEntry,
  banReplyCodec,
  bansReplyCodec,
  identityReplyCodec,
  joinTokenReplyCodec,
  lineageReplyCodec,
  textReplyCodec,
} from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import { parseUuid } from "../../base/uuid.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../record/key.ts";
import { deregisterReplyCodec } from "../../../schemas/gen/wire.ts";
import type { Grants } from "../../base/peer.ts";
import type { Invoker } from "../invoker.ts";
import type {
  AuditEntries,
  BanOrder,
  BanResult,
  Bans,
  IssuedIdentity,
  LineageInfo,
  ListedBan,
  MadeJoinToken,
  RenewalOrder,
  TokenIssue,
} from "../identity_types.ts";
import type { CallOptions, IdentityClient } from "../types.ts";

const KINDS = { subject: 1, lineage: 2, token: 3 } as const;
const KIND_NAMES: readonly (BanOrder["kind"] | undefined)[] = [
  undefined,
  "subject",
  "lineage",
  "token",
];

function banOfEntry({ kind: number, untilMs, unixS, ...ban }: BanEntry): ListedBan {
  const kind = KIND_NAMES[number];
  if (kind === undefined) {
    throw new RegistryError(
      "malformed",
      `Kind of a ban must be 1, 2 or 3: current value is ${number}`,
    );
  }
  return { ...ban, kind, untilMs: untilMs === 0 ? null : untilMs, madeAtMs: unixS * 1_000 };
}

/** The implementation of `IdentityClient`. */
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
    const { domains, gateways, credentialHashes = false } = grants;
    const body = { subject, domains, gateways, credentialHashes };
    return this.#invoker.invoke(
      "createJoinToken",
      body,
      (response) => response.bodyInto(joinTokenReplyCodec.newView()).toPlain(),
      options,
    );
  }

  renew(order: RenewalOrder, options?: CallOptions): Promise<IssuedIdentity> {
    return this.#invoker.invoke(
      "renewIdentity",
      order,
      (response) => response.bodyInto(identityReplyCodec.newView()).toPlain(),
      options,
    );
  }

  mintToken(audience: string, lifeMs: number, options?: CallOptions): Promise<string> {
    return this.#text("mintToken", { audience, lifeMs }, options);
  }

  tokenKeys(options?: CallOptions): Promise<string> {
    return this.#text("getTokenKeys", {}, options);
  }

  trustBundle(options?: CallOptions): Promise<string> {
    return this.#text("getTrustBundle", {}, options);
  }

  ban(order: BanOrder, options?: CallOptions): Promise<BanResult> {
    return this.#invoker.invoke(
      "ban",
      banBody(order),
      (response) => response.bodyInto(banReplyCodec.newView()).toPlain(),
      options,
    );
  }

  bans(first: number, limit: number, options?: CallOptions): Promise<Bans> {
    return this.#invoker.invoke(
      "listBans",
      { first, limit },
      (response) => {
        const { bans, count } = response.bodyInto(bansReplyCodec.newView()).toPlain();
        return { bans: bans.map(banOfEntry), count };
      },
      options,
    );
  }

  async unban(order: Omit<BanOrder, "untilMs">, options?: CallOptions): Promise<void> {
    await this.#invoker.invoke("unban", banBody(order), () => {}, options);
  }

  audit(first: number, limit: number, options?: CallOptions): Promise<AuditEntries> {
    return this.#invoker.invoke(
      "readAudit",
      { first, limit },
      (response) => response.bodyInto(auditReplyCodec.newView()).toPlain(),
      options,
    );
  }

  lineage(lineage: number, options?: CallOptions): Promise<LineageInfo> {
    return this.#invoker.invoke(
      "getLineage",
      { lineage },
      (response) => response.bodyInto(lineageReplyCodec.newView()).toPlain(),
      options,
    );
  }

  removeRecord(kind: "agent" | "gateway", id: string, options?: CallOptions): Promise<number> {
    const body = { kind: kind === "agent" ? KIND_AGENT : KIND_GATEWAY, id: parseUuid(id) };
    return this.#invoker.invoke(
      "removeRecord",
      body,
      (response) => response.bodyInto(deregisterReplyCodec.newView()).removed,
      options,
    );
  }

  async removeMember(nodeId: number, options?: CallOptions): Promise<void> {
    await this.#invoker.invoke("removeMember", { nodeId }, () => {}, options);
  }

  issueToken({ grants, ...order }: TokenIssue, options?: CallOptions): Promise<string> {
    const { domains, gateways, credentialHashes = false } = grants;
    return this.#text("issueToken", { ...order, domains, gateways, credentialHashes }, options);
  }

  #text(
    name: "mintToken" | "issueToken" | "getTokenKeys" | "getTrustBundle",
    body: unknown,
    options: CallOptions | undefined,
  ): Promise<string> {
    return this.#invoker.invoke(
      name,
      // deno-lint-ignore no-explicit-any -- each caller passes the body of its operation.
      body as any,
      (response) => response.bodyInto(textReplyCodec.newView()).toPlain().text,
      options,
    );
  }
}

function banBody({ kind, name, reason = "", untilMs = 0 }: BanOrder) {
  return { kind: KINDS[kind], name, reason, untilMs };
}
