/** Ports for servers that cannot be told to choose their own. */

/** Below the range from which Linux chooses ports. */
const FIRST_PORT = 12_000;
const LAST_PORT = 31_000;

/** Returns the first of `count` free ports in a row. */
export function freePorts(count: number): number {
  for (;;) {
    const first = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT - count));
    if (Array.from({ length: count }, (_, at) => first + at).every(isFree)) return first;
  }
}

/** Reports whether nobody listens on a port, by UDP or TCP. */
export function isFree(port: number): boolean {
  try {
    Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port }).close();
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}
