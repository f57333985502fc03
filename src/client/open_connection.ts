/** Opens a connection: dials an endpoint, proves the client's identity, and says hello. */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { Connection, type ConnectionParameters } from "./connection.ts";
import { FurtherStreams } from "./further_streams.ts";
import { greet } from "./greeting.ts";
import { proveSession, whyRefused } from "./session_proof.ts";
import { SessionToken } from "./session_token.ts";

/**
 * Dials an endpoint, authenticates and sends Hello.
 *
 * @throws RegistryError as `Dialer.dial`, `deadline_exceeded`, or the code of the server's goodbye.
 */
export async function openConnection(parameters: ConnectionParameters): Promise<Connection> {
  const { dialer, endpoint, trust, hello, world, timeoutMs, signal } = parameters;
  const session = await dialer.dial(endpoint, { trust, timeoutMs, signal });
  let token: SessionToken | undefined;
  let late = false;
  const timer = world.scheduler.after(timeoutMs, () => {
    late = true;
    session.abort("The server did not answer Hello in time");
  });
  const cancel = () => session.abort("The client gave up");
  signal.addEventListener("abort", cancel);
  try {
    const stream = await session.open("control");
    const proof = await proveSession(session, stream, parameters);
    const greeted = await greet(stream, hello);
    const further = new FurtherStreams(session, stream);
    token = new SessionToken({ ...parameters, further });
    await token.proven(proof);
    return new Connection(parameters, { stream, further, greeted, proof, token });
  } catch (error) {
    const refusal = await whyRefused(session, toRegistryError(error), world);
    token?.close();
    session.abort("The session could not be set up");
    if (!late) throw refusal;
    throw new RegistryError(
      "deadline_exceeded",
      `Server must answer Hello within ${timeoutMs} ms: it did not`,
      {},
      error,
    );
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", cancel);
  }
}
