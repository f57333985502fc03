/**
 * Runs on Node: dials the listener of a test on Deno, then a listener of its own, and prints the
 * result of each. Certificates and the port come from the environment.
 */
import type { Session } from "../../transport/transport.ts";
import { listenTls, TlsDialer } from "../../transport/tls.ts";

// Node 20 lacks it; supported versions have it.
if (Promise.withResolvers === undefined) {
  (Promise as { withResolvers: unknown }).withResolvers = () => {
    let resolve: unknown, reject: unknown;
    const promise = new Promise((yes, no) => [resolve, reject] = [yes, no]);
    return { promise, resolve, reject };
  };
}

const { port, rootPem, server, client, foreign } = JSON.parse(process.env["TLS_TEST"]!);
const scheduler = {
  after(delayMs: number, run: () => void) {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  nextTurn: (run: () => void) => void setImmediate(run),
};
const onError = () => {};
const trust = { kind: "ca", pem: [rootPem] } as const;

/** Sends a megabyte, reads it back, and reports whether it is equal. */
async function echoes(session: Session): Promise<boolean> {
  const stream = await session.open("request");
  const bytes = new Uint8Array(1_000_000).map((_, index) => index * 7);
  const writing = stream.write(bytes);
  let into = new Uint8Array(65_536);
  let count = 0;
  let same = true;
  while (count < bytes.length) {
    const part = await stream.read(into);
    if (part === undefined) return false;
    for (const byte of part) same &&= byte === bytes[count++];
    into = new Uint8Array(part.buffer);
  }
  await writing;
  return same;
}

async function outcome(toPort: number, certificate: typeof client): Promise<string> {
  const dialer = new TlsDialer({ scheduler, onError, certificate: () => certificate });
  try {
    const session = await dialer.dial({ host: "127.0.0.1", port: toPort }, { trust });
    return `${await echoes(session)} ${session.peerCertificate?.length !== undefined}`;
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    await dialer.close();
  }
}

const listener = await listenTls({
  hosts: ["127.0.0.1"],
  port: 0,
  certificate: server,
  clientAuthorities: [rootPem],
  scheduler,
  monotonic: { nowMs: () => performance.now() },
  onError,
});
const leaves: number[] = [];
const serve = async () => {
  for (let session = await listener.accept(); session; session = await listener.accept()) {
    leaves.push(session.peerCertificate?.length ?? 0);
    void echo(session);
  }
};

async function echo(session: Session): Promise<void> {
  const stream = await session.accept();
  let into = new Uint8Array(65_536);
  try {
    for (;;) {
      const part = await stream?.read(into);
      if (part === undefined) return;
      await stream!.write(part);
      into = new Uint8Array(part.buffer);
    }
  } catch {
    // The session has ended, as expected in each of these cases.
  }
}

void serve();
const result = {
  toDeno: await outcome(port, client),
  toNode: await outcome(listener.port, client),
  foreignToDeno: await outcome(port, foreign),
  foreignToNode: await outcome(listener.port, foreign),
  leaves,
};
await listener.close();
console.log(JSON.stringify(result));
