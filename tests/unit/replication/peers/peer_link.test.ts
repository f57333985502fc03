/** The link to one member holds few sessions, and ends all of them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { nodeId } from "../../../../src/base/ids.ts";
import { type LogFacts, type Logger, SILENT_LOGGER } from "../../../../src/base/logger.ts";
import { ImagePlaces } from "../../../../src/replication/peers/image_places.ts";
import { PartialImages } from "../../../../src/replication/peers/partial_images.ts";
import { PeerLink } from "../../../../src/replication/peers/peer_link.ts";
import type { PeerMember } from "../../../../src/replication/peers/peer_member.ts";
import { ManualTime } from "../../../support/manual_time.ts";
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

function link() {
  const time = new ManualTime(0);
  const lines: LogFacts[] = [];
  const note = (_: string, facts: LogFacts = {}) => void lines.push(facts);
  const logger: Logger = { ...SILENT_LOGGER, info: note, warn: note, child: () => logger };
  const member = { nodeId: nodeId(2) } as PeerMember;
  const events = { peerConnected: () => {}, peerLost: () => {} };
  const partials = new PartialImages(new ImagePlaces(), time);
  const link = new PeerLink(member, events, { logger, clock: time, partials });
  const adopt = () => {
    const session = new BusySession();
    link.adopt(session as unknown as PeerSession);
    return session;
  };
  return { link, adopt, time, lines };
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

test("PeerLink logs few lines of a session that opens and breaks, and how many it left out", async () => {
  const { adopt, time, lines } = link();
  for (let times = 0; times < 100; times++) {
    const session = adopt();
    session.end(undefined);
    await session.ended;
    await undefined;
    time.advance(100);
  }
  assert.ok(lines.length >= 10 && lines.length <= 12, `${lines.length} lines for 200 events`);
  time.advance(60_000);
  adopt();
  const unlogged = lines.reduce((sum, facts) => sum + Number(facts.unlogged ?? 0), 0);
  assert.is(lines.length + unlogged, 201, "every event is a line or counted");
});

test.run();
