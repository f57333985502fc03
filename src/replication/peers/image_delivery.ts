/** The delivery of an image over the sessions with a node: after a cut it goes on where the next one begins. */
import {
  PEER_IMAGE_ATTEMPTS_MAX,
  PEER_IMAGE_RESUME_LOOK_MS,
  PEER_IMAGE_RESUME_MS,
} from "../../base/limits.ts";
import type { World } from "../../base/world.ts";
import { PEER_VERSION_RESUMED_IMAGES } from "../../wire/peer_control.ts";
import type { OutgoingImage } from "./image_stream.ts";
import type { PeerSession } from "./peer_session.ts";

/** The part of a link that a delivery uses. */
export interface DeliveryLink {
  readonly session: Pick<PeerSession, "sendImage" | "version"> | undefined;
  readonly isClosed: boolean;
}

/** Sends an image; resolves with whether the node has taken it whole, and never rejects. */
export async function deliverImage(
  link: DeliveryLink,
  image: OutgoingImage,
  world: Pick<World, "monotonic" | "scheduler">,
): Promise<boolean> {
  for (let attempt = 1; attempt <= PEER_IMAGE_ATTEMPTS_MAX; attempt++) {
    const session = attempt === 1 ? link.session : await nextSession(link, world);
    if (session === undefined) return false;
    const outcome = await session.sendImage(image);
    if (outcome !== "cut") return outcome === "arrived";
    if (session.version < PEER_VERSION_RESUMED_IMAGES) return false;
  }
  return false;
}

/** Waits for a session after a cut; undefined if there is none in time, or the node is no member any more. */
async function nextSession(
  link: DeliveryLink,
  { monotonic, scheduler }: Pick<World, "monotonic" | "scheduler">,
): Promise<DeliveryLink["session"]> {
  const untilMs = monotonic.nowMs() + PEER_IMAGE_RESUME_MS;
  for (;;) {
    // Also before the first look: the session that was cut may not have noticed yet.
    const pause = (resolve: () => void) => void scheduler.after(PEER_IMAGE_RESUME_LOOK_MS, resolve);
    await new Promise<void>(pause);
    if (link.isClosed) return undefined;
    if (link.session !== undefined || monotonic.nowMs() >= untilMs) return link.session;
  }
}
