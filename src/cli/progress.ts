/**
 * Progress of long work, on standard error so that it never mixes with results: at a terminal one
 * line that turns, elsewhere a line at the begin and one at the end.
 */
import { formatDuration } from "./duration.ts";
import type { Terminal } from "./terminal.ts";

const TURN_MS = 100;
const FRAMES = ["-", "\\", "|", "/"];

/** A line at a terminal that is written over. */
export class LiveText {
  readonly #terminal: Terminal;
  #lines = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Shows `text`, of whole lines, in the place of what was shown before. */
  show(text: string): void {
    this.#terminal.err(this.#back() + text);
    this.#lines = text.split("\n").length - 1;
  }

  /** Takes away what was shown. */
  clear(): void {
    this.#terminal.err(this.#back());
    this.#lines = 0;
  }

  /** Control sequences (ECMA-48): up, and erase to the end of the screen. */
  #back(): string {
    return this.#lines === 0 ? "" : `\x1b[${this.#lines}A\x1b[J`;
  }
}

/** Runs `work` and shows that it goes on. */
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
  // At once: work that holds the thread gives no later chance.
  show();
  const timer = setInterval(show, TURN_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    live.clear();
  }
}
