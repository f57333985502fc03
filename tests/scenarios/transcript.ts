/**
 * What a scenario prints: text at a level, indented in places, silent at level `none`. Of the lines
 * that the model logs, only the switch of a configuration is written, for tiers compare it.
 */

const LEVELS = ["debug", "info", "warn", "error", "fatal", "none"];

/** Collects the output of one stanza. */
export class Transcript {
  #text = "";
  #level = 0;

  /** True where nothing but errors is printed. */
  get isQuiet(): boolean {
    return this.#level === LEVELS.length - 1;
  }

  /** The level by its number, to be put back later. */
  get level(): number {
    return this.#level;
  }

  set level(level: number) {
    this.#level = level;
  }

  /** Sets the level by name; false where there is none of that name. */
  setLevel(name: string): boolean {
    const level = LEVELS.indexOf(name.toLowerCase());
    if (level < 0) return false;
    this.#level = level;
    return true;
  }

  /** Adds `text` as it is. */
  write(text: string): void {
    if (!this.isQuiet) this.#text += text;
  }

  /** Adds a line of the model's log at level info. */
  info(line: string): void {
    if (this.#level <= LEVELS.indexOf("info")) this.#text += `INFO ${line}\n`;
  }

  /** Indents by two spaces what `run` writes, and ends its last line. */
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

  /** All that was written, which is forgotten. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }
}
