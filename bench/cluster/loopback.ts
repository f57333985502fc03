/** The traffic of the loopback interface, packets' headers included. */

/** Returns the bytes that the loopback interface has received since the start of the machine. */
export function loopbackBytes(): number {
  const line = Deno.readTextFileSync("/proc/net/dev").split("\n")
    .find((one) => one.trimStart().startsWith("lo:"));
  if (line === undefined) throw new Error("There is no loopback interface");
  return Number(line.trim().split(/\s+/)[1]);
}
