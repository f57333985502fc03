/** Finds the process that has a UDP socket, by what Linux shows in `/proc`. */

const TABLES = ["/proc/net/udp", "/proc/net/udp6"];
/** The columns of a socket's local address and of its inode. */
const ADDRESS = 1;
const INODE = 9;

/** Returns the one of `processIds` that has a UDP socket at a local port; undefined if none has. */
export function ownerOfPort(port: number, processIds: Iterable<number>): number | undefined {
  const inodes = new Set(TABLES.flatMap((table) => inodesAt(table, port)));
  if (inodes.size === 0) return undefined;
  for (const processId of processIds) {
    if (hasSocket(processId, inodes)) return processId;
  }
  return undefined;
}

function inodesAt(table: string, port: number): string[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readText(table).split("\n").flatMap((line) => {
    const columns = line.trim().split(/\s+/);
    const inode = columns[INODE];
    return columns[ADDRESS]?.endsWith(end) === true && inode !== undefined ? [inode] : [];
  });
}

function hasSocket(processId: number, inodes: ReadonlySet<string>): boolean {
  const folder = `/proc/${processId}/fd`;
  try {
    for (const { name } of Deno.readDirSync(folder)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`${folder}/${name}`))?.[1];
      if (inode !== undefined && inodes.has(inode)) return true;
    }
  } catch {
    // The process has ended.
  }
  return false;
}

/** Returns the target of a link; "" for a descriptor that was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return "";
  }
}

/** Returns the text of a file; "" if there is none. */
function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
