/**
 * Identities of simulated nodes for each other: production's handshake with stand-ins for certificates
 * and signatures, which cost a hash instead of a curve, and never wait. Clients have the development
 * identity, as in `task cluster`, apart from the owners (`owner.ts`).
 */
import { createHash } from "node:crypto";
import { bytesEqual, concatBytes } from "../../../src/base/bytes.ts";
import { NO_GRANTS } from "../../../src/base/peer.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import {
  type HandshakeFailure,
  handshakeFailure,
  type HandshakeServices,
  type ProvenIdentity,
} from "../../../identity/registry_auth/mod.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import type { Membership } from "../../../src/node/cluster_file.ts";
import type { NodeIdentity, PeerIdentity } from "../../../src/node/node_identity.ts";
import { nodeSubjectId } from "../../../src/serving/node_subject.ts";
import { type SessionIdentity, takeForGranted } from "../../../src/node/session_identity.ts";
import type { BanList } from "../../../identity/trust/ban_list.ts";
import type { Process } from "../machine.ts";
import { NOT_AFTER_MS, type Owner } from "./owner.ts";
import type { WireSession } from "./wire_session.ts";

const ISSUER = new TextEncoder().encode("the authority of the simulated cluster");
const REGION = "eu";

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

/** Who knows the public key can sign: simulated nodes do not lie. */
function signed(publicKey: Uint8Array, content: Uint8Array): Uint8Array {
  const hash = sha256(concatBytes([publicKey, content]));
  return concatBytes([hash, hash]);
}

/** Returns the identity of the node whose UUID the leaf is. */
function identityOf(leaf: Uint8Array): ProvenIdentity {
  return {
    subject: `spiffe://simulated.example/region/${REGION}/node/${formatUuid(leaf)}`,
    subjectId: leaf,
    role: "node",
    region: REGION,
    lineage: 1,
    grants: NO_GRANTS,
    leafHash: sha256(leaf),
    publicKey: concatBytes([leaf, leaf]),
    notAfterMs: NOT_AFTER_MS,
  };
}

function judge(chain: readonly Uint8Array[]): ProvenIdentity | HandshakeFailure {
  const [leaf, issuer] = chain;
  if (leaf?.length !== 16 || issuer === undefined || !bytesEqual(issuer, ISSUER)) {
    return handshakeFailure("certificate", "It is not known here");
  }
  return identityOf(leaf);
}

/** Returns the identity by which a node proves itself to other nodes. */
export function simulatedPeerIdentity({ clusterId, nodeId }: Membership): PeerIdentity {
  const identity = identityOf(nodeSubjectId(clusterId, nodeId));
  const own = { identity, chain: [identity.subjectId, ISSUER] };
  const services: HandshakeServices = {
    sha256,
    sign: (content) => Promise.resolve(signed(identity.publicKey, content)),
    verify: (publicKey, content, signature) => bytesEqual(signed(publicKey, content), signature),
    judge: (_end, chain) => Promise.resolve(judge(chain)),
    admit: () => Promise.resolve({ expiresAtMs: NOT_AFTER_MS }),
  };
  return { own: () => own, services };
}

/** Who proves what to a node. */
export interface SimulatedSessions {
  readonly process: Process;
  readonly bans: BanList;
  /** Returns the owner at an address of the wire; undefined for all that have the development identity. */
  readonly ownerAt: (address: number) => Owner | undefined;
}

/** Returns the identity of the machine with that address, whose TLS certificates never rotate. */
export function simulatedIdentity(address: number, sessions: SimulatedSessions): NodeIdentity {
  const certificate = (number: number) => ({
    chainPem: "",
    keyPem: "",
    certificatePem: "",
    pin: new Uint8Array(32).fill(number),
    notBeforeMs: 0,
    notAfterMs: NOT_AFTER_MS,
  });
  const certificates = {
    current: certificate(2 * address),
    next: certificate(2 * address + 1),
    rotateAtMs: NOT_AFTER_MS,
    check: () => Promise.resolve(false),
  };
  const { signal: revoked } = new AbortController();
  return {
    certificates,
    notice: "",
    clientAuthorities: [],
    begin: () =>
      Promise.resolve(
        provenBy(sessions, takeForGranted(developmentPeer({ region: REGION, revoked }))),
      ),
    rotated: () => Promise.resolve(),
    stop: () => {},
  };
}

/** Authenticates owners as themselves, and all others by the development identity. */
function provenBy(
  { bans, ownerAt, process }: SimulatedSessions,
  others: SessionIdentity,
): SessionIdentity {
  return {
    prove: (session, stream) => {
      const owner = ownerAt((session as WireSession).options.remoteMachine);
      if (owner === undefined) return others.prove(session, stream);
      return Promise.resolve(owner.prove(process, bans));
    },
  };
}
