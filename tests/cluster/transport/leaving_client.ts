/** A client that connects, sends a goodbye and exits immediately. */
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { testWorld } from "../../support/production_world.ts";

const [port, pin] = Deno.args;
const { scheduler } = testWorld();
const dialer = new QuicDialer({ scheduler, onError: () => {} });
const sha256 = [new Uint8Array(pin!.split(",").map(Number))];
const session = await dialer.dial({ host: "127.0.0.1", port: Number(port) }, {
  trust: { kind: "pins", sha256 },
});
await (await session.open("control")).write(new Uint8Array(8));
await session.goodbye(undefined, "leaving", { lingerMs: 0 });
Deno.exit(0);
