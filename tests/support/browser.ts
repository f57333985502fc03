/** A headless Chromium that opens one page, until the test is done with it. */

/** Without these flags a start resolves hosts of the browser's maker, and waits for them. */
const BROWSER_FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Opens a page while `use` runs. @param chromium the program. */
export async function withPage<T>(
  chromium: string,
  url: string,
  use: () => Promise<T>,
  flags: readonly string[] = [],
): Promise<T> {
  const profile = await Deno.makeTempDir();
  const browser = new Deno.Command(chromium, {
    args: [...BROWSER_FLAGS, ...flags, `--user-data-dir=${profile}`, url],
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    return await use();
  } finally {
    browser.kill("SIGKILL");
    await browser.status;
    // The browser may still write there while it ends; the system removes the rest.
    await Deno.remove(profile, { recursive: true }).catch(() => {});
  }
}
