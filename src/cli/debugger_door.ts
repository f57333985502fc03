/**
 * Keeps SIGUSR1 from opening a debugger.
 *
 * Deno (from 2.9.2 on) answers SIGUSR1 with a debugger on 127.0.0.1:9229 that asks for no password, so
 * that every local user could read a node's keys out of its memory; tools that rotate logs send that
 * signal as a matter of course. A listener of ours does not prevent it. So the signal is made one that
 * the kernel ignores, which no door is opened by, not even for a moment. The listener comes first:
 * with it the runtime has installed its handler, and does not do so again half a second later.
 */
import * as inspector from "node:inspector";

/** SIGUSR1 and the C library by system; elsewhere a debugger that was opened is closed again. */
const SYSTEMS: Readonly<Record<string, { readonly signal: number; readonly libraries: string[] }>> =
  {
    linux: {
      signal: 10,
      libraries: ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"],
    },
    darwin: { signal: 30, libraries: ["libSystem.dylib"] },
  };
/** `SIG_IGN` of <signal.h>, on all of them. */
const IGNORE = 1n;
/** How often, and for how long after a signal, a debugger is looked for where it cannot be prevented. */
const LOOK_MS = 5;
const LOOKS = 400;

/** Makes this process, once and for all, one that SIGUSR1 opens no debugger in. Never throws. */
export function shutDebuggerDoor(): void {
  // Node opens one too, but leaves the signal to whoever listens for it.
  const system = SYSTEMS[globalThis.Deno?.build.os ?? ""];
  if (system === undefined) return;
  Deno.addSignalListener("SIGUSR1", () => closeDebugger(LOOKS));
  if (!ignoreSignal(system)) {
    console.error(
      "SIGUSR1 cannot be ignored on this system (is --allow-ffi missing?): a debugger that it " +
        "opens is closed again within milliseconds",
    );
  }
}

function ignoreSignal({ signal, libraries }: typeof SYSTEMS[string]): boolean {
  for (const library of libraries) {
    try {
      const opened = Deno.dlopen(library, {
        signal: { parameters: ["i32", "usize"], result: "usize" },
      });
      opened.symbols.signal(signal, IGNORE);
      opened.close();
      return true;
    } catch {
      // Not this one, or not allowed: the caller hears when none was.
    }
  }
  return false;
}

/** The debugger opens in some later turn than the signal's. */
function closeDebugger(looks: number): void {
  if (inspector.url() !== undefined) inspector.close();
  if (looks > 0) setTimeout(closeDebugger, LOOK_MS, looks - 1);
}
