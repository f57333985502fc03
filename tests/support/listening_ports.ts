/** Which TCP ports a process listens on, as Linux tells it. */

const LISTENING = "0A";

/** The ports, ascending. */
export function listeningPorts(pid: number): number[] {
  const inodes = new Set<string>();
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${name}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const ports = ["tcp", "tcp6"].flatMap((table) =>
    Deno.readTextFileSync(`/proc/${pid}/net/${table}`).trim().split("\n").slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === LISTENING && inodes.has(fields[9] ?? ""))
      .map((fields) => parseInt(fields[1]!.split(":")[1]!, 16))
  );
  return ports.sort((a, b) => a - b);
}

/** What a descriptor is, or nothing where it was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return "";
  }
}
