/**
 * Shows the progress of long work on standard error, so that it never mixes with results: an
 * animated line at a terminal, otherwise one line at the start and one at the end.
 */
import { formatDuration } from "./duration.ts";
import type { Terminal } from "./terminal.ts";

const TURN_MS = 100;
const FRAMES = ["-", "\\", "|", "/"];

/** Text at a terminal that is redrawn in place. */
export class LiveText {
  readonly #terminal: Terminal;
  #lines = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Replaces the text shown before by `text`, which consists of whole lines. */
  show(text: string): void {
    this.#terminal.err(this.#back() + text);
    this.#lines = text.split("\n").length - 1;
  }

  /** Removes the text. */
  clear(): void {
    this.#terminal.err(this.#back());
    this.#lines = 0;
  }

  /** Control sequences (ECMA-48): up, and erase to the end of the screen. */
  #back(): string {
    return this.#lines === 0 ? "" : `\x1b[${this.#lines}A\x1b[J`;
  }
}

/** Runs `work` and shows its progress. */
export async function withProgress<T>(
  terminal: Terminal,
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  const startMs = performance.now();
  if (!terminal.isErrTty) {
    terminal.err(`${what} …\n`);
    const result = await work();
    terminal.err(`${what}: done in ${formatDuration(performance.now() - startMs)}\n`);
    return result;
  }
  const live = new LiveText(terminal);
  let turn = 0;
  const show = () => {
    const elapsed = formatDuration(performance.now() - startMs);
    live.show(`${FRAMES[turn++ % FRAMES.length]} ${what} … ${elapsed}\n`);
  };
  // Draws at once, because work that blocks the thread leaves no later chance.
  show();
  const timer = setInterval(show, TURN_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    live.clear();
  }
}
