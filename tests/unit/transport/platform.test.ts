/**
 * The runtime behaviour that our code works around: each test fails when the behaviour is fixed or
 * worsens, and names the code that may then be simplified.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { issueTestCertificate } from "../../support/certificate.ts";
import { connectRaw } from "../../support/raw_quic.ts";
import { within } from "../../support/until.ts";

const certificate = await issueTestCertificate();

function listen(): { endpoint: Deno.QuicEndpoint; listener: Deno.QuicListener; port: number } {
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const listener = endpoint.listen({
    cert: certificate.chainPem,
    key: certificate.keyPem,
    alpnProtocols: ["crs", "h3"],
  });
  return { endpoint, listener, port: endpoint.addr.port };
}

function swallow(connection: Deno.QuicConn): Deno.QuicConn {
  connection.closed.catch(() => {});
  return connection;
}

test("Deno: reading remoteAddr of an incoming consumes it (QuicListener reads nothing)", async () => {
  const { endpoint, listener, port } = listen();
  const dialing = connectRaw(port, "crs", certificate).then(() => "connected", () => "failed");
  const incoming = await within("the incoming", listener.incoming());
  assert.is(incoming.remoteAddr.hostname, "127.0.0.1");
  let message = "";
  try {
    await incoming.accept();
  } catch (error) {
    message = (error as Error).message;
  }
  assert.match(message, /Invalid QuicIncoming resource/);
  assert.is(await within("the client's end", dialing), "failed");
  endpoint.close();
});

test("Deno: a connection accepted half-open can be closed before its handshake ends", async () => {
  const { endpoint, listener, port } = listen();
  const dialing = connectRaw(port, "crs", certificate).then(() => "connected", () => "failed");
  const incoming = await within("the incoming", listener.incoming());
  const connection = swallow(incoming.accept({ zeroRtt: true }));
  assert.is(connection.remoteAddr.hostname, "127.0.0.1");
  connection.close({ closeCode: 0, reason: "early" });
  await within("the handshake's end", connection.handshake);
  assert.ok(["failed", "connected"].includes(await within("the client's end", dialing)));
  endpoint.close();
});

test("Deno: an aborted QUIC writer looks like a clean end (nothing may depend on FIN)", async () => {
  const { endpoint, listener, port } = listen();
  const dialing = connectRaw(port, "crs", certificate);
  const server = swallow(await (await listener.incoming()).accept());
  const client = await dialing;
  const stream = await client.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  await writer.write(new Uint8Array([1, 2, 3]));
  const incoming = await server.incomingBidirectionalStreams.getReader().read();
  const reader = incoming.value!.readable.getReader({ mode: "byob" });
  assert.is((await reader.read(new Uint8Array(8))).value!.length, 3);
  await writer.abort(new Error("truncated"));
  assert.is((await within("the end", reader.read(new Uint8Array(8)))).done, true);
  client.close();
  endpoint.close();
});

test("Deno: WebTransport cannot dial a literal IPv6 address (WebTransportDialer says so)", async () => {
  let message = "";
  try {
    const connection = new WebTransport("https://[::1]:9/", {
      serverCertificateHashes: [{ algorithm: "sha-256", value: certificate.sha256 }],
    });
    connection.closed.catch(() => {});
    await within("the failure", connection.ready);
  } catch (error) {
    message = (error as Error).message;
  }
  assert.match(message, /invalid server name/);
});

test("Deno: a write lets its bytes go when it settles (CarrierStream copies nothing)", async () => {
  const { endpoint, listener, port } = listen();
  const dialing = connectRaw(port, "crs", certificate);
  const server = swallow(await (await listener.incoming()).accept());
  const client = await dialing;
  const writer = (await client.createBidirectionalStream()).writable.getWriter();
  const bytes = new Uint8Array(100_000);
  const rounds = 10;
  const reading = (async () => {
    const incoming = await server.incomingBidirectionalStreams.getReader().read();
    const reader = incoming.value!.readable.getReader();
    const seen = new Set<number>();
    for (let count = 0; count < rounds * bytes.length;) {
      const { value } = await reader.read();
      for (const byte of value!) seen.add(byte);
      count += value!.length;
    }
    return [...seen];
  })();
  for (let round = 1; round <= rounds; round++) {
    bytes.fill(round);
    await writer.write(bytes);
    bytes.fill(0xff);
  }
  const seen = await within("all bytes", reading);
  assert.equal(seen, Array.from({ length: rounds }, (_, index) => index + 1));
  client.close();
  endpoint.close();
});

test.run();
