/** Handlers of the operations on identities, which the identity service decides. */
import { RegistryError } from "../../base/errors.ts";
import { AUDIT_PAGE_ENTRIES, BANS_PAGE_MAX } from "../../base/limits.ts";
import type { AuthenticatedPeer, Grants } from "../../base/peer.ts";
import { BAN_KIND_NAMES, type BanKind } from "../../../schemas/gen/wire.ts";
import type { IDENTITY_OPERATIONS } from "../../wire/operations/identities.ts";
import type { Handlers } from "../handler.ts";
import type { IdentityService } from "../identities/identity_service.ts";

/** Returns the handlers of the operations on identities. */
export function identityHandlers(service: IdentityService): Handlers<typeof IDENTITY_OPERATIONS> {
  return {
    createJoinToken: ({ subject, ...grants }, { peer, deadlineMs }) =>
      service.enrolment.createJoinToken(
        { subject, grants: grantsOf(grants) },
        peer.lineage,
        deadlineMs,
      ),
    enrol: async (request, context) =>
      await service.group.passOn("enrol", request, context) ??
        await service.enrolment.enrol(request, context.deadlineMs),
    enrolNode: async (request, context) =>
      await service.group.passOn("enrolNode", request, context) ??
        await service.enrolment.enrolNode(request, context.deadlineMs),
    renewIdentity: async (request, context) =>
      await service.group.passOn("renewIdentity", request, context) ??
        await service.enrolment.renew(request, context.deadlineMs),
    signServer: async (request, context) =>
      await service.group.passOn("signServer", request, context) ??
        await service.enrolment.signServer(request, context.peer),
    mintToken: async ({ audience, lifeMs }, { peer }) => ({
      text: await service.tokens.mint(peer, audience, lifeMs),
    }),
    issueToken: async ({ subject, audience, lifeMs, ...grants }, { peer, deadlineMs }) => {
      const order = { subject, audience, lifeMs, grants: grantsOf(grants) };
      return { text: await service.tokens.issue(order, peer.lineage, deadlineMs) };
    },
    useToken: ({ token }, { caller, peer }) => {
      if (caller.useToken === undefined) throw noToken(peer);
      return { expiresAtMs: Math.floor(caller.useToken(token)) };
    },
    mintCapability: async (order, { peer, deadlineMs }) => ({
      text: await service.capabilities.mint(order, peer, deadlineMs),
    }),
    verifyCapability: async ({ capability }, { peer }) => {
      // What a node was asked, it answers with its own keys.
      const verdict = await service.capabilities.verify(capability, peer.role !== "node");
      const { value: { capabilityId, expiresAtMs } } = verdict.handOver();
      return { capabilityId, expiresAtMs };
    },
    removeMember: async ({ nodeId }, { peer, deadlineMs }) => {
      await service.administration.removeMember(nodeId, peer, deadlineMs);
      return {};
    },
    ban: ({ kind, ...ban }, { peer, deadlineMs }) =>
      service.administration.ban(
        { ...ban, kind: banKind(kind), lifted: false },
        peer.lineage,
        deadlineMs,
      ),
    unban: ({ kind, ...ban }, { peer, deadlineMs }) =>
      service.administration.ban(
        { ...ban, kind: banKind(kind), lifted: true },
        peer.lineage,
        deadlineMs,
      ),
    listBans: async ({ first, limit }) => {
      await service.group.currentAtLeader();
      const bans = service.group.state.bans();
      return {
        bans: bans.slice(first, first + Math.min(limit, BANS_PAGE_MAX)),
        count: bans.length,
      };
    },
    getTokenKeys: async () => {
      await service.group.currentAtLeader();
      return { text: service.tokens.keys() };
    },
    getTrustBundle: async () => {
      await service.group.currentAtLeader();
      return { text: service.group.trustBundle };
    },
    readAudit: async ({ first, limit }) => {
      await service.group.currentAtLeader();
      const { audit } = service.group.state;
      return {
        entries: audit.read(first, Math.min(limit, AUDIT_PAGE_ENTRIES)),
        count: audit.count,
        anchor: audit.anchor,
        head: audit.head,
      };
    },
    getLineage: async ({ lineage: number }) => {
      await service.group.currentAtLeader();
      const lineage = service.group.state.lineage(number);
      if (lineage === undefined) {
        throw new RegistryError("not_found", `There is no lineage ${number}`);
      }
      const { subject, latest: { generation, notAfterMs }, stopped = "" } = lineage;
      return { subject, generation, notAfterMs, stopped };
    },
    whoAmI: (_request, { peer }) => whoIs(peer),
  };
}

function banKind(kind: number): BanKind {
  const name = BAN_KIND_NAMES[kind];
  if (name !== undefined) return name;
  throw new RegistryError("invalid_argument", `kind must be 1, 2, 3 or 4: found ${kind}`, {
    field: "kind",
  });
}

function noToken({ delegated }: AuthenticatedPeer): RegistryError {
  return new RegistryError(
    "permission_denied",
    delegated === undefined
      ? "This session is not authenticated, so it cannot use a token"
      : "A delegation takes a token only with the evidence by which it is opened",
  );
}

/** Returns the identity of a peer, with the rights that it has beyond those of its role. */
function whoIs(peer: AuthenticatedPeer) {
  const { subject, role, region, lineage, expiresAtMs, delegated, capability, grants } = peer;
  const { domains, gateways, credentialHashes = false, reads = [] } = grants;
  return {
    ...{ subject, role, region, lineage },
    // The development identity has the last time that there is.
    expiresAtMs: expiresAtMs < Number.MAX_SAFE_INTEGER ? Math.floor(expiresAtMs) : 0,
    ...{ domains, gateways, credentialHashes, reads },
    scopes: capability?.scopes ?? [],
    front: delegated?.front ?? "",
  };
}

function grantsOf(
  { domains, gateways, credentialHashes, reads }: Required<Grants>,
): Grants {
  return {
    ...{ domains, gateways },
    ...(credentialHashes ? { credentialHashes } : {}),
    ...(reads.length === 0 ? {} : { reads }),
  };
}
