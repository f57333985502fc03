/**
 * Returns memory that the process no longer uses to the system. The start of a node leaves half of
 * its resident memory behind: V8 keeps the pages of its young generation until memory is short, the
 * C library keeps freed pages between used ones, and the code that only a start runs stays mapped.
 *
 * Measured on Deno 2.9.6 after the start of a node: 137 to 77 MiB, with 8,192 partitions 247 to 114
 * MiB. Without V8's collector or glibc it does less or nothing, and says nothing.
 */
import v8 from "node:v8";
import vm from "node:vm";

/** The shared object of glibc; other C libraries have no `malloc_trim`. */
const GLIBC = "libc.so.6";

const MAPPINGS = "/proc/self/smaps";
/** madvise(2): the pages are not needed for now. */
const MADV_DONTNEED = 4;

/** The form of V8's `gc` that gives back empty pages. */
type Collect = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

/**
 * Collects all garbage and returns free pages. Stops the process for as long as that takes: 0.1 to
 * 0.6 s with an empty registry. Never throws.
 */
export function releaseMemory(): void {
  collectGarbage();
  releaseNativeMemory();
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

function releaseNativeMemory(): void {
  if (globalThis.Deno?.build.os !== "linux") return;
  try {
    const library = Deno.dlopen(GLIBC, {
      malloc_trim: { parameters: ["usize"], result: "i32" },
      madvise: { parameters: ["usize", "usize", "i32"], result: "i32" },
    });
    library.symbols.malloc_trim(0n);
    // The system reads a page that is needed again from its cache, without a write to any of them.
    for (const { start, end } of unwrittenFilePages(Deno.readTextFileSync(MAPPINGS))) {
      library.symbols.madvise(start, end - start, MADV_DONTNEED);
    }
    library.close();
  } catch {
    // Another C library, or FFI is not allowed: the pages stay with the process, which does no harm.
  }
}

/** A range of addresses. */
interface AddressRange {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * Returns the read-only mappings of programs and libraries that hold no page of their own, from the
 * text of /proc/self/smaps: dropping one loses nothing. Pages that were written before they were
 * protected, such as relocated addresses, count as anonymous, or as swapped. Other files are left
 * out: another thread may unmap one at any time, and map something else in its place.
 */
export function unwrittenFilePages(smaps: string): AddressRange[] {
  const mappings = smaps.split(/^(?=[\da-f]+-[\da-f]+ )/m).flatMap((text) => {
    const head = /^([\da-f]+)-([\da-f]+) r-([-x])p [\da-f]+ \S+ \d+ +(\/.*)/.exec(text);
    return head === null
      ? []
      : [{ text, start: head[1], end: head[2], mode: head[3], path: head[4] }];
  });
  const programs = new Set(mappings.filter(({ mode }) => mode === "x").map(({ path }) => path));
  return mappings
    .filter(({ text, path }) =>
      programs.has(path) && /^Anonymous: +0 kB$/m.test(text) && /^Swap: +0 kB$/m.test(text)
    )
    .map(({ start, end }) => ({ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) }));
}
