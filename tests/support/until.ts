/** Waiting in tests: for a condition, with a deadline, never for a fixed time. */

/** Shortest pause between two polls. */
const PAUSE_MS_MIN = 2;
/** A pause as a part of the time waited so far: what comes late is noticed a little later. */
const PAUSE_PART = 1 / 20;

/**
 * Resolves when `holds` returns true; after the deadline it fails and names the condition. It polls
 * every few ms at first. It pauses for as long as `holds` took if that is longer, and for a twentieth
 * of the time waited so far, so that an expensive condition does not slow down what it waits for.
 */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  deadlineMs = 5_000,
): Promise<void> {
  const beginMs = performance.now();
  for (;;) {
    const startMs = performance.now();
    if (await holds()) return;
    const nowMs = performance.now();
    const waitedMs = nowMs - beginMs;
    if (waitedMs > deadlineMs) throw new Error(`Not within ${deadlineMs} ms: ${what}`);
    const pauseMs = Math.max(PAUSE_MS_MIN, nowMs - startMs, waitedMs * PAUSE_PART);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Returns the value of `promise`; after the deadline it fails and names the promise. */
export async function within<T>(what: string, promise: Promise<T>, deadlineMs = 5_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not within ${deadlineMs} ms: ${what}`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Reports whether `promise` is still pending after `turns` turns of the event loop. */
export async function isPending(promise: Promise<unknown>, turns = 5): Promise<boolean> {
  let settled = false;
  const settle = () => settled = true;
  promise.then(settle, settle);
  for (let turn = 0; turn < turns && !settled; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return !settled;
}
