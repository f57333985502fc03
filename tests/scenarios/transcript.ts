/**
 * The output of a scenario: text at a level, partly indented, suppressed at level `none`. Of the
 * model's log lines only configuration switches are written, because tiers compare them.
 */

const LEVELS = ["debug", "info", "warn", "error", "fatal", "none"];

/** Collects the output of one stanza. */
export class Transcript {
  #text = "";
  #level = 0;

  /** True if only errors are printed. */
  get isQuiet(): boolean {
    return this.#level === LEVELS.length - 1;
  }

  /** The level by its number, so that it can be restored later. */
  get level(): number {
    return this.#level;
  }

  set level(level: number) {
    this.#level = level;
  }

  /** Sets the level by name; returns false if there is no such level. */
  setLevel(name: string): boolean {
    const level = LEVELS.indexOf(name.toLowerCase());
    if (level < 0) return false;
    this.#level = level;
    return true;
  }

  /** Appends `text` unchanged. */
  write(text: string): void {
    if (!this.isQuiet) this.#text += text;
  }

  /** Adds a line of the model's log at level info. */
  info(line: string): void {
    if (this.#level <= LEVELS.indexOf("info")) this.#text += `INFO ${line}\n`;
  }

  /** Indents the output of `run` by two spaces, and ends its last line. */
  indented(run: () => void): void {
    const outer = this.#text;
    this.#text = "";
    try {
      run();
    } finally {
      const lines = this.#text.split("\n");
      if (lines.at(-1) === "") lines.pop();
      this.#text = outer + lines.map((line) => `  ${line}\n`).join("");
    }
  }

  /** Returns everything written, and clears it. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }
}
