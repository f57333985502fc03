/** Request path of operations on identities: decodes a request and calls the identity service. */
import {
  auditRequestCodec,
  banRequestCodec,
  bansRequestCodec,
  enrolRequestCodec,
  issueTokenRequestCodec,
  joinTokenRequestCodec,
  lineageRequestCodec,
  mintTokenRequestCodec,
  removeMemberRequestCodec,
  renewIdentityRequestCodec,
  type RequestView,
  useTokenRequestCodec,
} from "../../schemas/gen/wire.ts";
import { RegistryError } from "../base/errors.ts";
import { AUDIT_PAGE_ENTRIES, BANS_PAGE_MAX } from "../base/limits.ts";
import type { Grants } from "../base/peer.ts";
import { BAN_KINDS } from "../system/identity_codec.ts";
import { type Operation, OPERATIONS } from "../wire/operations.ts";
import type { BanKind } from "../../identity/trust/ban_list.ts";
import type { IdentityService } from "./identity_service.ts";
import type { WriteContext, WriteReply } from "./write_context.ts";

/** Serves operations on identities. One instance serves all streams of a node. */
export class IdentityPath {
  readonly #service: IdentityService;

  constructor(service: IdentityService) {
    this.#service = service;
  }

  /**
   * Serves one operation. Reads all it needs from the bytes of the request before the first await.
   *
   * @throws RegistryError with the reason of a refusal.
   */
  async serve(
    operation: Operation,
    request: RequestView,
    context: WriteContext,
  ): Promise<WriteReply> {
    return { body: await this.#answer(operation, request, context), receipts: [] };
  }

  async #answer(
    operation: Operation,
    request: RequestView,
    context: WriteContext,
  ): Promise<unknown> {
    const service = this.#service;
    const { peer, deadlineMs } = context;
    switch (operation.id) {
      case OPERATIONS.createJoinToken.id: {
        const { subject, ...grants } = request.bodyInto(joinTokenRequestCodec.newView()).toPlain();
        return await service.createJoinToken(
          { subject, grants: grantsOf(grants) },
          peer.lineage,
          deadlineMs,
        );
      }
      case OPERATIONS.enrol.id:
        return await service.enrol(
          request.bodyInto(enrolRequestCodec.newView()).toPlain(),
          deadlineMs,
        );
      case OPERATIONS.renewIdentity.id:
        return await service.renew(
          request.bodyInto(renewIdentityRequestCodec.newView()).toPlain(),
          deadlineMs,
        );
      case OPERATIONS.mintToken.id: {
        const { audience, lifeMs } = request.bodyInto(mintTokenRequestCodec.newView()).toPlain();
        return { text: await service.mint(peer, audience, lifeMs) };
      }
      case OPERATIONS.issueToken.id: {
        const { subject, audience, lifeMs, ...grants } = request
          .bodyInto(issueTokenRequestCodec.newView()).toPlain();
        const order = { subject, audience, lifeMs, grants: grantsOf(grants) };
        return { text: await service.issueToken(order, peer.lineage, deadlineMs) };
      }
      case OPERATIONS.useToken.id: {
        const { token } = request.bodyInto(useTokenRequestCodec.newView());
        return { expiresAtMs: Math.floor(useTokenOf(context)(token)) };
      }
      case OPERATIONS.removeMember.id: {
        const { nodeId } = request.bodyInto(removeMemberRequestCodec.newView());
        await service.removeMember(nodeId, peer, deadlineMs);
        return {};
      }
      case OPERATIONS.ban.id:
      case OPERATIONS.unban.id:
        return await this.#ban(request, context, operation.id === OPERATIONS.unban.id);
      case OPERATIONS.listBans.id:
        return await this.#bans(request);
      case OPERATIONS.getTokenKeys.id:
        await service.current();
        return { text: service.tokenKeys() };
      case OPERATIONS.getTrustBundle.id:
        await service.current();
        return { text: service.trustBundle() };
      case OPERATIONS.readAudit.id:
        return await this.#audit(request);
      case OPERATIONS.getLineage.id:
        return await this.#lineage(request);
      default:
        throw new RegistryError("unknown_operation", `No path serves ${operation.name}`);
    }
  }

  async #ban(request: RequestView, { peer, deadlineMs }: WriteContext, lifted: boolean) {
    const { kind, ...ban } = request.bodyInto(banRequestCodec.newView()).toPlain();
    const name = Object.entries(BAN_KINDS).find(([, number]) => number === kind)?.[0];
    if (name === undefined) {
      throw new RegistryError("invalid_argument", `kind must be 1, 2 or 3: found ${kind}`, {
        field: "kind",
      });
    }
    return await this.#service.ban(
      { ...ban, kind: name as BanKind, lifted },
      peer.lineage,
      deadlineMs,
    );
  }

  async #bans(request: RequestView) {
    const { first, limit } = request.bodyInto(bansRequestCodec.newView()).toPlain();
    await this.#service.current();
    const bans = this.#service.state.bans();
    return {
      bans: bans.slice(first, first + Math.min(limit, BANS_PAGE_MAX)),
      count: bans.length,
    };
  }

  async #audit(request: RequestView) {
    const { first, limit } = request.bodyInto(auditRequestCodec.newView()).toPlain();
    await this.#service.current();
    const { audit } = this.#service.state;
    return {
      entries: audit.read(first, Math.min(limit, AUDIT_PAGE_ENTRIES)),
      count: audit.count,
      anchor: audit.anchor,
      head: audit.head,
    };
  }

  async #lineage(request: RequestView) {
    const { lineage: number } = request.bodyInto(lineageRequestCodec.newView()).toPlain();
    await this.#service.current();
    const lineage = this.#service.state.lineage(number);
    if (lineage === undefined) {
      throw new RegistryError("not_found", `There is no lineage ${number}`);
    }
    const { subject, latest: { generation, notAfterMs }, stopped = "" } = lineage;
    return { subject, generation, notAfterMs, stopped };
  }
}

function useTokenOf({ useToken }: WriteContext): NonNullable<WriteContext["useToken"]> {
  if (useToken !== undefined) return useToken;
  throw new RegistryError(
    "permission_denied",
    "This session is not authenticated, so it cannot use a token",
  );
}

function grantsOf({ domains, gateways, credentialHashes }: Grants): Grants {
  const named = { domains, gateways };
  return credentialHashes === true ? { ...named, credentialHashes } : named;
}
