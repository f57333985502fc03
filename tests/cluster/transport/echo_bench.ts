/** A process that echoes, and sessions with it. */
import * as assert from "uvu/assert";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import type { Session, Trust } from "../../../transport/transport.ts";
import { testWorld } from "../../support/production_world.ts";
import { within } from "../../support/until.ts";
import { EchoProcess } from "./echo_process.ts";

const { scheduler } = testWorld();

/** A server, and a dialer of it. */
export interface EchoBench {
  readonly server: EchoProcess;
  readonly dialer: QuicDialer;
  dial(): Promise<Session>;
}

/** Calls `run` with a server of its own, which is killed then. */
export async function withServer(
  options: { keepAliveMs?: number; idleMs?: number },
  run: (bench: EchoBench) => Promise<void>,
): Promise<void> {
  const server = await EchoProcess.start();
  const dialer = new QuicDialer({ scheduler, onError: () => {}, ...options });
  const trust: Trust = { kind: "pins", sha256: [server.sha256] };
  const dial = () => dialer.dial({ host: "127.0.0.1", port: server.port }, { trust });
  try {
    await run({ server, dialer, dial });
  } finally {
    await dialer.close();
    await server.kill();
  }
}

/** Checks that a session echoes what is written to a stream of it. */
export async function assertEcho(session: Session): Promise<void> {
  const stream = await session.open("request");
  await stream.write(new Uint8Array([1, 2, 3]));
  const back = await within("the echo", stream.read(new Uint8Array(16)));
  assert.equal(back, new Uint8Array([1, 2, 3]));
  stream.abort();
}
