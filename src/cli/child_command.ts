/**
 * A command of this program in a process of its own, such as `crs start`, started by another one. It
 * watches its standard input, so it always ends with the command that started it; ^C reaches that
 * command only, which stops its children itself.
 */
import { ERROR_TABLE, type ErrorCode, RegistryError } from "../base/errors.ts";
import { CliFailure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** Time limit from the start of the process to its first output, ms. */
const READY_MS_MAX = 60_000;
/** Time limit for its graceful shutdown, ms. */
const STOP_MS_MAX = 10_000;
/** Number of characters kept from the end of its standard error. */
const SAID_CHARACTERS_MAX = 4_096;
/** Flags for V8 of a node, as in the task `start`. */
export const NODE_V8_FLAGS =
  "--v8-flags=--heap-growing-percent=30,--max-semi-space-size=8,--expose-gc";
/**
 * Flags for V8 of a front. Its young generation has its size from the start: a small one is collected so often
 * that calls in progress are taken for long-lived.
 */
export const FRONT_V8_FLAGS =
  "--v8-flags=--min-semi-space-size=8,--max-semi-space-size=8,--expose-gc";

/**
 * Arguments that run a program. The packages were installed when the parent started; children that
 * install them as well wait for each other, and say so on their standard error.
 */
const RUN = ["run", "-A", "--node-modules-dir=manual"];

/** The options of a {@link ChildCommand}. */
export interface ChildCommandOptions {
  /** Its name in messages, such as `the node of the demonstration`. */
  readonly name: string;
  /** The command and its flags, without `--json`; it takes `--stop-with-stdin`. */
  readonly command: readonly string[];
  /** Its settings are left out, as they are meant for the parent. */
  readonly environment: Terminal["environment"];
  /** Flags for V8. Default: {@link NODE_V8_FLAGS}. */
  readonly v8Flags?: string;
  /** Settings of the child that other users of the machine must not see, as variables. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Called with each line of its standard error. */
  readonly onLine?: (line: string) => void;
}

/** The end of the process. */
export interface ChildEnd {
  readonly code: number;
  readonly signal: string | null;
}

/** A command in a process of its own. */
export class ChildCommand {
  readonly #name: string;
  readonly #child: Deno.ChildProcess;
  readonly #onLine: ((line: string) => void) | undefined;
  /** The end of its standard error, reported if it fails. */
  #said = "";
  #hasEnded = false;
  #isStopping = false;

  constructor(
    { name, command, environment, v8Flags = NODE_V8_FLAGS, variables, onLine }: ChildCommandOptions,
  ) {
    this.#name = name;
    this.#onLine = onLine;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...RUN, v8Flags, Deno.mainModule, ...command, "--json", "--stop-with-stdin"],
      env: { ...withoutSettings(environment), ...variables },
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // ^C is for the parent, which stops its children itself.
      detached: true,
    }).spawn();
    void this.#listen();
    void this.#child.status.then(() => this.#hasEnded = true);
  }

  get processId(): number {
    return this.#child.pid;
  }

  /** Resolves when the process has ended. */
  get ended(): Promise<ChildEnd> {
    return this.#child.status;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Whether {@link stop} was called. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /**
   * Waits until the command serves, and returns the document that it prints then.
   *
   * @throws RegistryError its own error; `internal` with its output if it said nothing.
   */
  async ready<T>(): Promise<T> {
    const late = Promise.withResolvers<"late">();
    const timer = setTimeout(() => late.resolve("late"), READY_MS_MAX);
    try {
      const printed = await Promise.race([this.#document(), late.promise]);
      if (printed !== "late" && printed !== undefined) {
        const failure = failureOf(printed, this.#name);
        if (failure !== undefined) throw failure;
        return printed as T;
      }
      const why = printed === "late" ? `said nothing within ${READY_MS_MAX} ms` : "ended";
      throw new RegistryError("internal", `${this.#name} ${why}\n${this.#said}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Stops it gracefully; resolves when the process has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    try {
      await this.#child.stdin.close();
    } catch {
      // Its input was closed before, or is broken because it has ended.
    }
    const timer = setTimeout(() => {
      if (!this.#hasEnded) this.#child.kill("SIGKILL");
    }, STOP_MS_MAX);
    await this.#child.status;
    clearTimeout(timer);
  }

  /** Returns the one document of its standard output; undefined if it ended without. */
  async #document(): Promise<unknown> {
    const reader = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value } = await reader.read();
      if (value === undefined) return undefined;
      text += value;
      if (!text.endsWith("}\n")) continue;
      await reader.cancel();
      return JSON.parse(text);
    }
  }

  async #listen(): Promise<void> {
    let line = "";
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#said = (this.#said + text).slice(-SAID_CHARACTERS_MAX);
      if (this.#onLine === undefined) continue;
      const lines = (line + text).split("\n");
      line = lines.pop()!.slice(-SAID_CHARACTERS_MAX);
      for (const whole of lines) this.#onLine(whole);
    }
  }
}

/** Returns the error that a command printed instead of its description, if it did. */
function failureOf(document: unknown, name: string): RegistryError | undefined {
  const { error } = document as {
    readonly error?: { readonly code: string; readonly message: string; readonly advice: string };
  };
  if (error === undefined) return undefined;
  const { code, message, advice } = error;
  const known = Object.hasOwn(ERROR_TABLE, code) ? code as ErrorCode : "internal";
  return new CliFailure(known, `${name}: ${message}`, { advice });
}

/** Returns the environment without settings. */
function withoutSettings(environment: Terminal["environment"]): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !name.startsWith("CRS_")) kept[name] = value;
  }
  return kept;
}
