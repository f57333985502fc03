/**
 * The floor: a raw Deno QUIC echo in its fastest known form, with nothing of this project in it.
 * One recycled BYOB buffer, all whole frames of a chunk, all their replies in one write.
 *
 * It is frozen: a registry is measured beside it in the same run, and a slower floor would flatter.
 * Prints one line of JSON, `{"port":…,"cert":"<PEM>"}`, and serves until it is killed.
 */
import { makeEchoCertificate } from "./certificate.ts";
import { FrameBatch, readFrames } from "./echo_frame.ts";

async function serveStream(stream: Deno.QuicBidirectionalStream): Promise<void> {
  const writer = stream.writable.getWriter();
  const replies = new FrameBatch();
  await readFrames(
    stream.readable,
    (view, offset) => {
      const replyBytes = view.getUint32(offset + 12, true);
      replies.append(view.getUint32(offset + 8, true), replyBytes, replyBytes);
    },
    () => {
      // Reading goes on meanwhile (some 5 % faster than waiting); what may wait to be written is
      // bounded by the client's depth. A failed write fails the next read too.
      if (replies.length > 0) writer.write(replies.take()).catch(() => {});
      return undefined;
    },
  );
}

async function serveConnection(incoming: Deno.QuicIncoming): Promise<void> {
  const connection = await incoming.accept();
  for await (const stream of connection.incomingBidirectionalStreams) {
    // A client that leaves breaks its reads and writes; that is how a bench ends.
    serveStream(stream).catch(() => {});
  }
}

if (import.meta.main) {
  const { cert, key } = await makeEchoCertificate();
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const listener = endpoint.listen({
    cert,
    key,
    alpnProtocols: ["crs-echo"],
    keepAliveInterval: 1_000,
    maxIdleTimeout: 10_000,
  });
  console.log(JSON.stringify({ port: endpoint.addr.port, cert }));
  for await (const incoming of listener) {
    // As with streams: the end of a bench ends its connections.
    serveConnection(incoming).catch(() => {});
  }
}
