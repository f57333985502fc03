/** Waits until `holds` returns true. @throws Error after the deadline. */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  deadlineMs: number,
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!await holds()) {
    if (performance.now() > endMs) throw new Error(`Not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

const PAUSE_MS = 10;
