/** Waiting in tests: for a condition, with a deadline, never for a fixed time. */

/**
 * Resolves when `holds` returns true, polling every few ms; after the deadline it fails and names
 * the condition.
 */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  deadlineMs = 5_000,
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`Not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
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
