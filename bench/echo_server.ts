/**
 * The baseline: a raw Deno QUIC echo in its fastest known form, without any code of this project.
 * It uses one recycled BYOB buffer, handles all whole frames of a chunk together, and sends all
 * their replies in one write.
 *
 * It is frozen: the registry is measured against it in the same run, and a slower baseline would
 * make the registry look better. Prints one line of JSON, `{"port":…,"cert":"<PEM>"}`, and serves
 * until it is killed.
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
      // Reading continues meanwhile, which is some 5 % faster than waiting; the client's depth
      // bounds the bytes that wait to be written. After a failed write the next read fails too.
      if (replies.length > 0) writer.write(replies.take()).catch(() => {});
      return undefined;
    },
  );
}

async function serveConnection(incoming: Deno.QuicIncoming): Promise<void> {
  const connection = await incoming.accept();
  for await (const stream of connection.incomingBidirectionalStreams) {
    // A bench ends by disconnecting, which fails the reads and writes here. If a stream fails before,
    // the client fails, and reports it.
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
    // The end of a bench ends connections too; if one fails before, the client fails, and reports it.
    serveConnection(incoming).catch(() => {});
  }
}
