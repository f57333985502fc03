/**
 * Checks the evidence with which fronts open delegations, as the proofs of sessions are checked: the
 * same chains, tokens and bans, and the same end. The proof of possession is missing, because the
 * caller gave it to the front: that is what a front is trusted for.
 */
import type { CapabilityRights } from "../base/capability.ts";
import { RegistryError } from "../base/errors.ts";
import { ANONYMOUS, type AuthenticatedPeer, NO_GRANTS } from "../base/peer.ts";
import type { DelegationEvidence } from "../serving/delegation_evidence.ts";
import type { AcceptedEvidence } from "../serving/delegations.ts";
import { parseUuid } from "../base/uuid.ts";
import type { Guarded } from "../../identity/capabilities/guarded.ts";
import { parseSpiffeId } from "../../identity/pki/spiffe.ts";
import type {
  HandshakeFailure,
  HandshakeServices,
  ProvenIdentity,
} from "../../identity/registry_auth/mod.ts";
import type { Lineage } from "../system/enrolment_records.ts";
import type { SessionLife } from "../../identity/trust/session_life.ts";
import { readTokenForm, tokenRefused } from "../../identity/tokens/token_check.ts";

/** Roles that a front may act for. The others talk to nodes themselves. */
const DELEGABLE: readonly string[] = ["agent", "gateway", "proxy", "controller"];

const NO_BYTES = new Uint8Array(0);

/** The parts of a node that check evidence. */
export interface DelegatedIdentityParts {
  readonly services: Pick<HandshakeServices, "judge" | "admit">;
  /** Begins the life of an identity whose session is that of a front. */
  readonly live: (identity: ProvenIdentity, expiresAtMs: number, pinned: boolean) => SessionLife;
  /** Returns a subject's lineage; undefined if it has none. */
  readonly lineageOf: (subject: string) => Pick<Lineage, "lineage" | "grants"> | undefined;
  /** Verifies a capability. @throws RegistryError why it is refused. */
  readonly verify: (capability: string) => Promise<Guarded<CapabilityRights>>;
}

/**
 * Checks evidence presented by `front`.
 *
 * @throws RegistryError `unauthenticated` with the fault, `permission_denied` for roles that need no
 * front, `invalid_configuration` for evidence that this node cannot check.
 */
export async function checkEvidence(
  evidence: DelegationEvidence,
  front: AuthenticatedPeer,
  parts: DelegatedIdentityParts,
): Promise<AcceptedEvidence> {
  switch (evidence.kind) {
    case "none":
      return anonymously();
    case "certificate":
      return await byCertificate(evidence, front, parts);
    case "token":
      return byToken(evidence, front, parts);
    case "capability":
      return await byCapability(evidence, front, parts);
  }
}

/**
 * Accepts a capability: a peer of its own, whose subject is the capability's id. Its caveats about the
 * request are left to the front.
 */
export async function byCapability(
  { capability }: Extract<DelegationEvidence, { kind: "capability" }>,
  { pinned, region }: AuthenticatedPeer,
  { live, verify }: Pick<DelegatedIdentityParts, "live" | "verify">,
): Promise<AcceptedEvidence> {
  const { value: rights, unchecked } = (await verify(capability)).handOver();
  const { capabilityId, expiresAtMs } = rights;
  const life = live(
    {
      subject: `capability:${capabilityId}`,
      subjectId: parseUuid(capabilityId),
      role: "capability",
      region,
      lineage: 0,
      leafHash: NO_BYTES,
      grants: NO_GRANTS,
      publicKey: NO_BYTES,
      notAfterMs: expiresAtMs,
      capability: rights,
    },
    expiresAtMs,
    pinned,
  );
  return { peer: life.peer, unchecked, close: () => life.close() };
}

/** Accepts an anonymous caller; what it may do is a setting of the node. */
function anonymously(): AcceptedEvidence {
  return { peer: { ...ANONYMOUS, subject: "an anonymous caller" }, close() {} };
}

async function byCertificate(
  { chain, token }: Extract<DelegationEvidence, { kind: "certificate" }>,
  front: AuthenticatedPeer,
  { services, live }: DelegatedIdentityParts,
): Promise<AcceptedEvidence> {
  const identity = accepted(await services.judge("client", chain));
  checkRole(identity.role);
  // Not pinned, as a session's token is of no use to a delegation.
  const { expiresAtMs } = accepted(await services.admit({ identity, pinned: false }));
  const life = live(identity, expiresAtMs, front.pinned);
  return token === undefined ? life : withToken(life, token);
}

/** Accepts a token alone: its bearer is who it names, with the grants that it has, and no others. */
function byToken(
  { token, leafHash }: Extract<DelegationEvidence, { kind: "token" }>,
  front: AuthenticatedPeer,
  { live, lineageOf }: DelegatedIdentityParts,
): AcceptedEvidence {
  const claims = readTokenForm(token);
  if (typeof claims === "string") throw tokenRefused(claims);
  const { subject, expiresAtMs } = claims;
  const { role, region, subjectId } = parseSpiffeId(subject);
  checkRole(role);
  const known = lineageOf(subject);
  // Nobody who was never issued a certificate has a token.
  if (known === undefined) throw tokenRefused("wrong_subject");
  const { lineage, grants: { reads } } = known;
  // The limits of the certificate narrow what a token alone permits, too.
  const grants = reads === undefined ? NO_GRANTS : { ...NO_GRANTS, reads };
  const identity = { subject, subjectId, role, region, lineage, leafHash, grants };
  const life = live(
    { ...identity, publicKey: new Uint8Array(0), notAfterMs: expiresAtMs },
    expiresAtMs,
    front.pinned,
  );
  // This checks the token against the bearer that it named, its signature included.
  return withToken(life, token);
}

function withToken(life: SessionLife, token: string): AcceptedEvidence {
  try {
    return { peer: life.useToken(token), close: () => life.close() };
  } catch (error) {
    life.close();
    throw error;
  }
}

function checkRole(role: string): void {
  if (DELEGABLE.includes(role)) return;
  throw new RegistryError(
    "permission_denied",
    `A front acts for ${DELEGABLE.join(", ")}: the certificate is of a ${role}`,
    { field: "chain" },
  );
}

function accepted<T extends object>(verdict: T | HandshakeFailure): T {
  if (!("fault" in verdict)) return verdict;
  const { code, fault, message } = verdict;
  throw new RegistryError(code, `The certificate is refused: ${fault}: ${message}`, {
    field: "chain",
  });
}
