/**
 * A server in its own process, for transport tests: echoes every stream, and replies with one line
 * of JSON on its output to each command on its input: `stats`, `rotate`, `collect`, `goodbye`.
 *
 * Its first line states the port and the pin.
 */
import { guardRejections } from "../../../transport/guard.ts";
import { listenQuic } from "../../../transport/quic_listener.ts";
import type { Listener, Session, Stream } from "../../../transport/transport.ts";
import { issueTestCertificate } from "../../support/certificate.ts";
import { testWorld } from "../../support/production_world.ts";

/** The reply to `stats`. */
export interface EchoServerStats {
  readonly sessions: number;
  readonly streams: number;
  readonly handshakes: number;
  readonly accepted: number;
  readonly handshakeFailures: number;
  readonly errors: Record<string, number>;
  readonly unhandled: number;
  readonly residentKiB: number;
  /** Used and reserved memory of V8's heap. */
  readonly heapUsedKiB: number;
  readonly heapTotalKiB: number;
}

const READ_BYTES = 1_024;

async function echo(stream: Stream): Promise<void> {
  let into = new Uint8Array(READ_BYTES);
  for (;;) {
    const part = await stream.read(into);
    if (part === undefined) return;
    await stream.write(part);
    into = new Uint8Array(part.buffer);
  }
}

async function serveSession(session: Session): Promise<void> {
  for (;;) {
    const stream = await session.accept();
    if (stream === undefined) return;
    // A lost session ends the echo; the server counts sessions itself.
    echo(stream).catch(() => {});
  }
}

async function serveAll(listener: Listener): Promise<void> {
  for (;;) {
    const session = await listener.accept();
    if (session === undefined) return;
    void serveSession(session);
  }
}

function residentKiB(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))?.[1] ?? 0);
}

function memory() {
  const { heapTotal, heapUsed } = Deno.memoryUsage();
  return {
    residentKiB: residentKiB(),
    heapUsedKiB: Math.round(heapUsed / 1_024),
    heapTotalKiB: Math.round(heapTotal / 1_024),
  };
}

function collect(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

async function main(): Promise<void> {
  const { scheduler } = testWorld();
  const errors: Record<string, number> = {};
  const onError = (stage: string) => {
    errors[stage] = (errors[stage] ?? 0) + 1;
  };
  const guard = guardRejections(globalThis, onError);
  const certificate = await issueTestCertificate();
  const listener = listenQuic({ hosts: ["127.0.0.1"], port: 0, certificate, scheduler, onError });
  void serveAll(listener);
  const say = (value: unknown) => console.log(JSON.stringify(value));
  say({ port: listener.port, sha256: [...certificate.sha256] });
  const commands = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  for await (const text of commands) {
    for (const command of text.split("\n")) {
      if (command === "stats") {
        collect();
        say({ ...listener.stats, errors, unhandled: guard.count, ...memory() });
      } else if (command === "rotate") {
        listener.rotate(certificate);
        collect();
        say({});
      } else if (command === "goodbye") {
        await listener.close();
        Deno.exit(0);
      }
    }
  }
}

if (import.meta.main) await main();
