/** A disk of a few MiB that a test can fill: a tmpfs, which only a privileged user may mount. */
import type { Requirement } from "./requirement.ts";

/** The permission to mount. */
export const MOUNT: Requirement<string> = {
  found: mayMount() ? "mount" : undefined,
  advice: "a small disk cannot be mounted; run as root with the capability CAP_SYS_ADMIN",
};

/** Runs `use` with an empty disk of that size, mounted on a new folder. */
export async function onSmallDisk(
  bytes: number,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "small-disk-" });
  if (!mount(folder, bytes)) throw new Error(`Cannot mount a disk on ${folder}`);
  try {
    await use(folder);
  } finally {
    // Lazily, because a process that has just ended may still hold files open.
    new Deno.Command("umount", { args: ["-l", folder] }).outputSync();
    Deno.removeSync(folder);
  }
}

function mayMount(): boolean {
  const folder = Deno.makeTempDirSync({ prefix: "small-disk-" });
  try {
    const mounted = mount(folder, 1 << 20);
    if (mounted) new Deno.Command("umount", { args: [folder] }).outputSync();
    return mounted;
  } finally {
    Deno.removeSync(folder);
  }
}

function mount(folder: string, bytes: number): boolean {
  try {
    const args = ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder];
    return new Deno.Command("mount", { args, stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
