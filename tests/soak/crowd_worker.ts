/**
 * The peers of a crowd: they hold sessions open and request nothing, or lists that they do not
 * read, or lists without end. Peers whose session is ended reconnect, as an attacker would.
 */
import { concatBytes } from "../../src/base/bytes.ts";
import {
  LIST_ITEMS_MAX,
  RESPONSE_FRAME_BYTES_MAX,
  STREAMS_PER_SESSION_MAX,
} from "../../src/base/limits.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { FrameAssembler } from "../../src/wire/frame_assembler.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import type { Stream } from "../../transport/transport.ts";
import { controlFrame, GOOD_HELLO, requestFrame } from "../support/raw_peer.ts";
import type { CrowdOrder } from "./crowd_order.ts";

/** Unread list requests per stream. */
const LISTS_A_STREAM = 40;
/** Lists in flight per session that reads them. */
const LISTS_IN_FLIGHT = 32;
/** Time after which a refused peer reconnects, ms. */
const AGAIN_MS = 100;

const dialer = new QuicDialer({ scheduler: processWorld().scheduler, onError: () => {} });

async function begin({ kind, endpoint, pin, region }: CrowdOrder) {
  const session = await dialer.dial(endpoint, { trust: { kind: "pins", sha256: [pin] } });
  if (kind === "silent") {
    await session.open("request");
    return session;
  }
  const control = await session.open("control");
  await control.write(controlFrame({ kind: "hello", hello: GOOD_HELLO }));
  const body = { region, cursor: new Uint8Array(0), limit: LIST_ITEMS_MAX };
  const list = requestFrame(1, "listAgentsByRegion", body, { timeoutMs: 60_000 });
  if (kind === "lists") {
    const requests = await session.open("request");
    listWithoutEnd(requests, list).catch(() => session.abort("It was ended"));
    return session;
  }
  for (let stream = 1; stream < STREAMS_PER_SESSION_MAX; stream++) {
    const requests = await session.open("request");
    for (let count = 0; count < LISTS_A_STREAM; count++) requests.write(list).catch(() => {});
  }
  return session;
}

async function member(order: CrowdOrder, begun: () => void): Promise<never> {
  for (;;) {
    try {
      const session = await begin(order);
      begun();
      await session.closed;
    } catch {
      // Refused, as intended; the peer tries again.
      begun();
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** Keeps enough lists in flight that the node always has work for this session. */
async function listWithoutEnd(stream: Stream, list: Uint8Array): Promise<void> {
  const repeated = (count: number) => concatBytes(new Array<Uint8Array>(count).fill(list));
  const assembler = new FrameAssembler({ frameBytesMax: RESPONSE_FRAME_BYTES_MAX, segmentsMax: 1 });
  await stream.write(repeated(LISTS_IN_FLIGHT));
  let buffer = new Uint8Array(64 * 1024);
  for (;;) {
    const chunk = await stream.read(buffer);
    if (chunk === undefined) return;
    let replies = 0;
    assembler.push(chunk, () => replies++);
    if (replies > 0) await stream.write(repeated(replies));
    buffer = new Uint8Array(chunk.buffer);
  }
}

/** A worker's own scope, which the types of the main thread do not include. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<CrowdOrder>) => void;
  postMessage(message: string): void;
};

scope.onmessage = ({ data }) => {
  let waiting = data.sessions;
  for (let count = 0; count < data.sessions; count++) {
    let first = true;
    void member(data, () => {
      if (first && --waiting === 0) scope.postMessage("all have come");
      first = false;
    });
  }
};
