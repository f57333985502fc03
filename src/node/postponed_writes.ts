/**
 * Writes of a node's start that may be postponed. On a full disk the node still starts and serves
 * reads; writes that failed are retried when there is room on the disk.
 */
import { RegistryError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";

type Write = () => Promise<void> | void;

/** The postponed writes of one node. */
export class PostponedWrites {
  readonly #logger: Logger;
  #postponed: { readonly what: string; readonly write: Write }[] = [];

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Runs `write`, or postpones it if the disk refuses it (`storage_unavailable`).
   *
   * @param what description of the write, for the log.
   */
  async attempt(what: string, write: Write): Promise<void> {
    try {
      await write();
    } catch (error) {
      const isRefused = error instanceof RegistryError && error.code === "storage_unavailable";
      if (!isRefused) throw error;
      this.#postponed.push({ what, write });
      this.#logger.warn(`Write postponed until there is room on the disk: ${what}`, { error });
    }
  }

  /** Retries the postponed writes; returns true if there were any. Call it when there is room. */
  async retry(): Promise<boolean> {
    const postponed = this.#postponed;
    this.#postponed = [];
    for (const { what, write } of postponed) await this.attempt(what, write);
    return postponed.length > 0;
  }
}
