/**
 * The environment of every command: the terminal, a connection to the registry, and the display of
 * answers. A command returns a {@link Reply}. Only this file decides whether it is printed as text
 * or as one JSON document, so that `--json` means the same for every command.
 */
import type { OperationCaller } from "../client/invoker.ts";
import type { Client, ClientOptions } from "../client/types.ts";
import type { KeptIdentity } from "../../identity/files/kept_identity.ts";
import type { Endpoint } from "../../transport/transport.ts";
import { tableColumns, type Terminal } from "./terminal.ts";

/** An answer, for scripts and for people. */
export interface Reply {
  /** Stable machine-readable output. */
  readonly json: unknown;
  /**
   * Returns the text, which ends with a newline.
   *
   * @param columns the width to which tables are fitted; Infinity where nothing limits it.
   */
  text(columns: number): string | Promise<string>;
  /** A remark for people, printed on standard error; ends with a newline. */
  readonly note?: string;
  /** Exit code, if not 0, of a command that got an answer but found a problem. */
  readonly exitCode?: number;
}

/** Options of every command. */
export interface CommonOptions {
  readonly json?: boolean;
}

/** Options of the commands that talk to a node, as typed. */
export interface ServerOptions extends CommonOptions {
  /** `host:port`, several separated by commas. */
  readonly server?: string;
  /** The data folder of a local node. */
  readonly data?: string;
  /** A file of CA certificates. */
  readonly ca?: string;
  /** Pins of certificates. */
  readonly pin?: readonly string[];
  /** The folder of the identity to use. */
  readonly identity?: string;
  /** A token to present. */
  readonly useToken?: string;
  /** File that contains the token; `-` is standard input. */
  readonly useTokenFile?: string;
  /** Whether to use TLS over TCP instead of QUIC. */
  readonly tls?: boolean;
  /** Timeout of the command's calls, a duration. */
  readonly timeout?: string;
  /** The maximum age of what the command reads, a duration. */
  readonly maxStaleness?: string;
}

/** A connected client and information about its target. */
export interface Connected {
  readonly client: Client & OperationCaller;
  readonly endpoints: readonly Endpoint[];
  /** Timeout of a call, ms. */
  readonly timeoutMs: number;
  /** The region of the local node, if it was found by its data folder. */
  readonly region: string | undefined;
  /** The identity that authenticated the session, if any. */
  readonly identity?: KeptIdentity;
  /** Closes the client, after which the process may exit. */
  close(): Promise<void>;
}

/** The environment of a command. */
export interface Shell {
  readonly terminal: Terminal;
  /**
   * Connects to the registry selected by the options.
   *
   * @param onConnection called on events of the connection.
   * @throws RegistryError as the client's `connect`, and if no node is found.
   */
  connect(
    options: ServerOptions,
    onConnection?: ClientOptions["onConnection"],
  ): Promise<Connected>;
}

/** Runs the action of a command and keeps its exit code for the end of the process. */
export type RunAction = (action: () => Promise<number>) => Promise<void>;

/** Prints a reply and returns the exit code. */
export async function showReply(
  reply: Reply,
  { json }: CommonOptions,
  terminal: Terminal,
): Promise<number> {
  terminal.out(json === true ? jsonDocument(reply.json) : await reply.text(tableColumns(terminal)));
  if (json !== true && reply.note !== undefined) terminal.err(reply.note);
  return reply.exitCode ?? 0;
}

/** Formats one document, readable for people too, with its newline. */
export function jsonDocument(value: unknown): string {
  return JSON.stringify(value, undefined, 2) + "\n";
}

/** Runs `use` with a client and closes the client afterwards. */
export async function withClient<T>(
  shell: Shell,
  options: ServerOptions,
  use: (connected: Connected) => Promise<T>,
  onConnection?: ClientOptions["onConnection"],
): Promise<T> {
  const connected = await shell.connect(options, onConnection);
  try {
    return await use(connected);
  } finally {
    await connected.close();
  }
}
