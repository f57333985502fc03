/** A folder for one test. */

/** Runs a test with a new folder, which is removed afterwards. */
export async function inTemporaryFolder(
  run: (folder: string) => void | Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
