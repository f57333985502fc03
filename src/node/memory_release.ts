/**
 * Returns memory that the process no longer uses to the system. The start of a node leaves a third
 * of its resident memory behind as garbage: V8 keeps the pages of its young generation until memory
 * is short, and the C library keeps freed pages between used ones.
 *
 * Measured on Deno 2.9.6 after the start of a node: 136 to 99 MB, with 8,192 partitions 230 to
 * 134 MB. Without V8's collector or glibc's `malloc_trim` it does less or nothing, and says nothing.
 */
import v8 from "node:v8";
import vm from "node:vm";

/** The shared object of glibc; other C libraries have no `malloc_trim`. */
const GLIBC = "libc.so.6";

/** The form of V8's `gc` that gives back empty pages. */
type Collect = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

/**
 * Collects all garbage and returns free pages. Stops the process for as long as that takes: 0.1 to
 * 0.6 s with an empty registry. Never throws.
 */
export function releaseMemory(): void {
  collectGarbage();
  trimHeap();
}

function collectGarbage(): void {
  const { gc } = globalThis as { gc?: Collect };
  const collect = gc ?? hiddenCollector();
  collect?.({ type: "major", execution: "sync", flavor: "last-resort" });
}

/** Returns the collector of a process that was started without `--expose-gc`. */
function hiddenCollector(): Collect | undefined {
  // The flag adds the function to contexts created afterwards.
  v8.setFlagsFromString("--expose-gc");
  return vm.runInNewContext("globalThis.gc");
}

function trimHeap(): void {
  if (globalThis.Deno?.build.os !== "linux") return;
  try {
    const library = Deno.dlopen(GLIBC, {
      malloc_trim: { parameters: ["usize"], result: "i32" },
    });
    library.symbols.malloc_trim(0n);
    library.close();
  } catch {
    // Another C library, or FFI is not allowed: the pages stay with the process, which does no harm.
  }
}
