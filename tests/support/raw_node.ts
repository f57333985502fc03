/**
 * A node driven by hand, for attacks on links: it authenticates as the program does, and then sends
 * whatever a test wants.
 */
import { PEER_STREAMS_MAX } from "../../src/base/limits.ts";
import { PeerControlReader } from "../../src/replication/peers/control_reader.ts";
import { PeerAuthentication } from "../../src/replication/peers/peer_authentication.ts";
import { helloOf } from "../../src/replication/peers/peer_hello.ts";
import { encodePeerControl, type PeerHello } from "../../src/wire/peer_control.ts";
import type { Session, Stream } from "../../transport/transport.ts";
import { type Member, tlsLeaf } from "./auth_realm.ts";
import type { PeerNodes } from "./peer_nodes.ts";

/** A session whose handshake is done. */
export class RawNode {
  readonly session: Session;
  readonly control: Stream;
  readonly reader: PeerControlReader;

  private constructor(session: Session, control: Stream) {
    this.session = session;
    this.control = control;
    this.reader = new PeerControlReader(control);
  }

  /** Dials node `to` of the cluster with the given identity, and authenticates. */
  static async dial(nodes: PeerNodes, to: number, identity: Member): Promise<RawNode> {
    const { world, network, realm } = nodes;
    const authentication = new PeerAuthentication(world, {
      services: realm.services(identity),
      own: () => identity,
      tlsLeaves: () => ({ current: tlsLeaf(identity, "current") }),
    });
    const member = nodes.memberOf(to);
    const endpoint = member.addresses[0]!;
    const trust = member.trusts[0]!;
    const dialing = network.dialer("attacker", { streamsPerSessionMax: PEER_STREAMS_MAX }).dial(
      endpoint,
      { trust },
    );
    const session = await world.wait(dialing);
    const control = await world.wait(session.open("control"));
    await world.wait(authentication.dialed(session, control, member, { endpoint, trust }));
    return new RawNode(session, control);
  }

  /** Sends the hello of node `id`, with changes, and returns the kind or the code of the answer. */
  async hello(nodes: PeerNodes, id: number, changes: Partial<PeerHello> = {}): Promise<string> {
    const hello = { ...helloOf(nodes.factsOf(id)), ...changes };
    await this.control.write(encodePeerControl({ kind: "hello", hello }));
    const answer = await nodes.world.wait(this.reader.next());
    if (answer?.kind !== "goodbye") return answer?.kind ?? "nothing";
    return `${answer.goodbye.code}: ${answer.goodbye.message}`;
  }

  /** Sends the hello of node `id` and opens the stream for frames. */
  async join(nodes: PeerNodes, id: number): Promise<Stream> {
    const answer = await this.hello(nodes, id);
    if (answer !== "hello_reply") throw new Error(`The hello was refused: ${answer}`);
    return await nodes.world.wait(this.session.open("peer"));
  }

  /** Answers pings from now on. */
  answerPings(): void {
    const answer = async () => {
      for (;;) {
        const message = await this.reader.next();
        if (message === undefined) return;
        if (message.kind === "ping") {
          await this.control.write(encodePeerControl({ ...message, kind: "pong" }));
        }
      }
    };
    answer().catch(() => {});
  }
}
