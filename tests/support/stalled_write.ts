/**
 * A disk that hangs for some time: a preloaded library, compiled at test time (`stall_write.c`),
 * stalls one write to the log of a real process.
 */
import { within } from "./until.ts";

const SOURCE = new URL("./stall_write.c", import.meta.url).pathname;

/** Stalls writes of one process. */
export class WriteStaller {
  /** The environment with which to start the process. */
  readonly env: Readonly<Record<string, string>>;
  readonly #trigger: string;

  private constructor(library: string, trigger: string) {
    this.env = { LD_PRELOAD: library, STALL_TRIGGER: trigger };
    this.#trigger = trigger;
  }

  /** Compiles the library into `folder`, which the caller removes. Needs `GCC` (requirement.ts). */
  static async compile(folder: string): Promise<WriteStaller> {
    const library = `${folder}/stall_write.so`;
    const { success, stderr } = await new Deno.Command("gcc", {
      args: ["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"],
    }).output();
    if (!success) throw new Error(`gcc failed: ${new TextDecoder().decode(stderr)}`);
    return new WriteStaller(library, `${folder}/stall`);
  }

  /**
   * Makes the next write to a segment stall for `durationMs`. Resolves when that write has begun to
   * stall; the caller must cause a write.
   */
  async begin(durationMs: number, deadlineMs = 20_000): Promise<void> {
    // Renamed into place, so that the library never reads a partial number.
    await Deno.writeTextFile(`${this.#trigger}.new`, `${durationMs}\n`);
    await Deno.rename(`${this.#trigger}.new`, this.#trigger);
    const taken = async () => {
      while (!await this.isStalled()) await new Promise((resolve) => setTimeout(resolve, 2));
    };
    await within("a write that stalls", taken(), deadlineMs);
  }

  /** Reports whether a write is stalled. */
  async isStalled(): Promise<boolean> {
    try {
      await Deno.stat(`${this.#trigger}.taken`);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }
}
