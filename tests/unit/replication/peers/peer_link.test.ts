/** The link to one member holds few sessions, and ends all of them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { nodeId } from "../../../../src/base/ids.ts";
import { SILENT_LOGGER } from "../../../../src/base/logger.ts";
import { PeerLink } from "../../../../src/replication/peers/peer_link.ts";
import type { PeerMember } from "../../../../src/replication/peers/peer_member.ts";
import type { PeerSession } from "../../../../src/replication/peers/peer_session.ts";

/** A session on which an image passes, so that it does not end when it is replaced. */
class BusySession {
  readonly remoteAddress = "memory";
  readonly #ended = Promise.withResolvers<RegistryError | undefined>();
  readonly ended = this.#ended.promise;
  isOpen = true;

  retire(): void {}

  end(reason: RegistryError | undefined): void {
    this.isOpen = false;
    this.#ended.resolve(reason);
  }
}

function link(): { link: PeerLink; adopt: () => BusySession } {
  const member = { nodeId: nodeId(2) } as PeerMember;
  const events = { peerConnected: () => {}, peerLost: () => {} };
  const link = new PeerLink(member, events, SILENT_LOGGER);
  const adopt = () => {
    const session = new BusySession();
    link.adopt(session as unknown as PeerSession);
    return session;
  };
  return { link, adopt };
}

test("PeerLink keeps one replaced session for its images, however often a node comes anew", () => {
  const { adopt } = link();
  const sessions = Array.from({ length: 10 }, adopt);
  assert.equal(sessions.map(({ isOpen }) => isOpen), [...Array(8).fill(false), true, true]);
});

test("PeerLink.close ends the present session, and the one that it replaced", () => {
  const { link: closed, adopt } = link();
  const sessions = [adopt(), adopt()];
  closed.close(new RegistryError("permission_denied", "The node is no member any more"));
  assert.equal(sessions.map(({ isOpen }) => isOpen), [false, false]);
});

test.run();
