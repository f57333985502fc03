/**
 * Accepts sessions of members with lower node ids: authenticates, checks membership and hello, and
 * sees to it that one process lives under a node number. Nothing is done for a peer before that.
 *
 * A second process of a node is refused while the first one answers a ping. The same process may
 * replace its session at any time, as it does when it lost the old one, or before a certificate
 * expires.
 */
import { bytesEqual } from "../../base/bytes.ts";
import { errorCodeToWire, RegistryError, toRegistryError } from "../../base/errors.ts";
import type { NodeId } from "../../base/ids.ts";
import { HELLO_MS_MAX, PEER_PROBE_MS, REFUSAL_LINGER_MS } from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { World } from "../../base/world.ts";
import { encodePeerControl, type PeerHello } from "../../wire/peer_control.ts";
import type { Endpoint, Session, Stream } from "../../../transport/transport.ts";
import { PeerControlReader } from "./control_reader.ts";
import type { PeerAuthentication } from "./peer_authentication.ts";
import { PeerCounts } from "./peer_counts.ts";
import { agreedVersion, helloOf, type PeerFacts, refusalOfHello } from "./peer_hello.ts";
import type { PeerLink } from "./peer_link.ts";
import { PeerSession, type PeerSessionParts } from "./peer_session.ts";

/** The dependencies of an acceptor. */
export interface PeerAcceptorOptions {
  readonly facts: PeerFacts;
  readonly world: World;
  readonly logger: Logger;
  readonly authentication: PeerAuthentication;
  /** Returns the addresses at which the members dial this node. */
  readonly addresses: () => readonly Endpoint[];
  /** Returns the link to the member with that identity; undefined if there is no such member. */
  readonly linkOf: (subjectId: Uint8Array) => PeerLink | undefined;
  readonly sessionParts: (link: PeerLink) => PeerSessionParts;
}

/** Accepts sessions of other nodes. */
export class PeerAcceptor {
  /** Input of peers that are not known to be members, by reason. */
  readonly counts = new PeerCounts();
  readonly #options: PeerAcceptorOptions;

  constructor(options: PeerAcceptorOptions) {
    this.#options = options;
  }

  /** Takes a session of a peer that may be anybody. Never rejects. */
  async accept(session: Session): Promise<void> {
    const { scheduler } = this.#options.world;
    const late = scheduler.after(HELLO_MS_MAX, () => session.abort("The hello took too long"));
    let control: Stream | undefined;
    try {
      control = await session.accept();
      if (control === undefined) return;
      const adopt = await this.#greet(session, control);
      late.cancel();
      adopt();
    } catch (error) {
      await this.#refuse(session, control, toRegistryError(error));
    } finally {
      late.cancel();
    }
  }

  /** Does everything up to the first frame; returns what establishes the session. */
  async #greet(session: Session, control: Stream): Promise<() => void> {
    const { authentication, facts, addresses, linkOf, sessionParts } = this.#options;
    if (control.kind !== "control") {
      throw new RegistryError(
        "malformed",
        `A session between nodes begins with a control stream: found ${control.kind}`,
      );
    }
    const result = await authentication.accepted(session, control, addresses());
    const { subject, subjectId } = result.peer;
    const link = linkOf(subjectId);
    if (link === undefined) throw notMember(subject, facts.nodeId);
    const reader = new PeerControlReader(control);
    const hello = await helloFrom(reader);
    const refusal = refusalOfHello(hello, link.member, facts) ??
      refusalOfDirection(link.node, facts.nodeId) ?? await this.#refusalOfSecond(link, hello);
    if (refusal !== undefined) {
      link.counts.rejectError(refusal);
      throw refusal;
    }
    await control.write(encodePeerControl({ kind: "hello_reply", hello: helloOf(facts) }));
    const established = new PeerSession({
      hello,
      version: agreedVersion(hello, facts),
      session,
      control,
      reader,
      life: authentication.lifeOf(result),
      ...sessionParts(link),
    });
    if (!await established.opened()) {
      throw new RegistryError("connection_lost", "The node opened no stream for frames");
    }
    return () => link.adopt(established);
  }

  /** Refuses a second process under one node number, if the first one is alive. */
  async #refusalOfSecond(link: PeerLink, hello: PeerHello): Promise<RegistryError | undefined> {
    const present = link.session;
    if (present === undefined || bytesEqual(present.processId, hello.processId)) return undefined;
    if (!await present.probe(PEER_PROBE_MS)) return undefined;
    return new RegistryError(
      "locked",
      `Node ${link.node} is connected already, from ${present.remoteAddress}: stop one of the two ` +
        "processes. A copy of a data folder must never be started",
    );
  }

  async #refuse(
    session: Session,
    control: Stream | undefined,
    error: RegistryError,
  ): Promise<void> {
    const { code, message } = error;
    this.counts.rejectError(error);
    this.#options.logger.debug("A session of a node was refused", {
      from: session.remoteAddress,
      error,
    });
    if (control !== undefined && code !== "connection_lost") {
      const goodbye = { code: errorCodeToWire(code), message };
      // A peer that has gone is not told; the session ends either way.
      control.write(encodePeerControl({ kind: "goodbye", goodbye })).catch(() => {});
    }
    await session.goodbye(code, message, { lingerMs: REFUSAL_LINGER_MS });
  }
}

/** The node with the lower number dials, so that two nodes never dial each other at once. */
function refusalOfDirection(from: NodeId, to: NodeId): RegistryError | undefined {
  if (from < to) return undefined;
  return new RegistryError(
    "invalid_argument",
    `Node ${from} must wait until node ${to} dials it: the node with the lower number dials`,
  );
}

function notMember(subject: string, node: NodeId): RegistryError {
  return new RegistryError(
    "permission_denied",
    `${subject} is no member of the cluster as node ${node} knows it: join the cluster first, ` +
      "or wait until the node has learned of it",
  );
}

async function helloFrom(reader: PeerControlReader): Promise<PeerHello> {
  const message = await reader.next();
  if (message?.kind === "hello") return message.hello;
  if (message === undefined) {
    throw new RegistryError("connection_lost", "The node ended the session before its hello");
  }
  throw new RegistryError("malformed", `A node must say hello first: found ${message.kind}`);
}
