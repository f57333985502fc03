/**
 * Writes that a start can do without: on a full disk reads are served all the same, and what could
 * not be written is written when there is room.
 */
import { RegistryError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";

type Write = () => Promise<void> | void;

/** The writes of one node's start. */
export class PostponedWrites {
  readonly #logger: Logger;
  #postponed: { readonly what: string; readonly write: Write }[] = [];

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Writes now, or later where the disk refuses.
   *
   * @param what in words, what is not written then.
   */
  async attempt(what: string, write: Write): Promise<void> {
    try {
      await write();
    } catch (error) {
      const isRefused = error instanceof RegistryError && error.code === "storage_unavailable";
      if (!isRefused) throw error;
      this.#postponed.push({ what, write });
      this.#logger.warn(`Not written until there is room on the disk: ${what}`, { error });
    }
  }

  /** There is room: writes what was postponed. True where something was. */
  async retry(): Promise<boolean> {
    const postponed = this.#postponed;
    this.#postponed = [];
    for (const { what, write } of postponed) await this.attempt(what, write);
    return postponed.length > 0;
  }
}
