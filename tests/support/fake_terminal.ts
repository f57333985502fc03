/** A terminal in memory: recorded output, files by name, and signals that the test sends. */
import type { StopSignal, Terminal } from "../../src/cli/terminal.ts";
import { usageFailure } from "../../src/cli/failure.ts";

/** Thrown instead of ending the process. */
export class ExitError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`The process would end with ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** A terminal for tests. */
export class FakeTerminal implements Terminal {
  readonly environment: Record<string, string | undefined>;
  readonly files: Readonly<Record<string, string>>;
  isOutTty = false;
  isErrTty = false;
  columns = 80;
  /** Everything written to standard output, and to standard error. */
  stdout = "";
  stderr = "";
  /** The listeners for signals. */
  readonly stops = new Set<(signal: StopSignal) => void>();
  endInput: () => void = () => {};

  constructor(
    { environment = {}, files = {} }: {
      readonly environment?: Record<string, string | undefined>;
      readonly files?: Readonly<Record<string, string>>;
    } = {},
  ) {
    this.environment = environment;
    this.files = files;
  }

  out(text: string): void {
    this.stdout += text;
  }

  err(text: string): void {
    this.stderr += text;
  }

  readText(path: string): string {
    const text = this.files[path];
    if (text === undefined) throw usageFailure(`Cannot read ${path}`, "Name another.", path);
    return text;
  }

  readLine(): string {
    return this.files["-"]?.split("\n", 1)[0] ?? "";
  }

  onStop(stop: (signal: StopSignal) => void): () => void {
    this.stops.add(stop);
    return () => this.stops.delete(stop);
  }

  onInputEnd(ended: () => void): void {
    this.endInput = ended;
  }

  exit(code: number): never {
    throw new ExitError(code);
  }

  /** Sends a signal to the process. */
  signal(signal: StopSignal): void {
    for (const stop of this.stops) stop(signal);
  }

  /** The only document on standard output. */
  get document(): unknown {
    return JSON.parse(this.stdout);
  }
}
