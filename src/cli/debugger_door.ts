/**
 * Keeps SIGUSR1 from opening a debugger.
 *
 * From version 2.9.2, Deno answers SIGUSR1 by opening a debugger on 127.0.0.1:9229 without a
 * password. Every local user could then read a node's keys from its memory, and log rotation tools
 * send that signal routinely. A signal listener does not prevent it. Therefore the kernel is told
 * to ignore the signal, so that the debugger is never opened, not even briefly. The listener is
 * added first: after that the runtime has installed its handler, and does not install it again half
 * a second later.
 */
import * as inspector from "node:inspector";

/**
 * SIGUSR1 and the C library by system. Where it cannot be ignored, an opened debugger is closed.
 */
const SYSTEMS: Readonly<Record<string, { readonly signal: number; readonly libraries: string[] }>> =
  {
    linux: {
      signal: 10,
      libraries: ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"],
    },
    darwin: { signal: 30, libraries: ["libSystem.dylib"] },
  };
/** `SIG_IGN` of <signal.h>, on all of these systems. */
const IGNORE = 1n;
/**
 * Interval and number of checks for an open debugger after a signal, where it cannot be prevented.
 */
const LOOK_MS = 5;
const LOOKS = 400;

/** Makes this process ignore SIGUSR1 permanently, so that it opens no debugger. Never throws. */
export function ignoreDebuggerSignal(): void {
  // Node opens one too, but leaves the signal to a listener if there is one.
  const system = SYSTEMS[globalThis.Deno?.build.os ?? ""];
  if (system === undefined) return;
  Deno.addSignalListener("SIGUSR1", () => closeDebugger(LOOKS));
  if (!ignoreSignal(system)) {
    console.error(
      "Cannot ignore SIGUSR1 on this system (is --allow-ffi missing?): a debugger that it " +
        "opens is closed within milliseconds",
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
      // Not this library, or not allowed; the caller reports it if none works.
    }
  }
  return false;
}

/** Closes the debugger, which opens in some turn after that of the signal. */
function closeDebugger(looks: number): void {
  if (inspector.url() !== undefined) inspector.close();
  if (looks > 0) setTimeout(closeDebugger, LOOK_MS, looks - 1);
}
