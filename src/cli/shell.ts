/**
 * What every command is given: the terminal, a way to the registry, and how an answer is shown. A
 * command makes a {@link Reply}; whether it is printed as text or as one JSON document is decided
 * here alone, so that `--json` means the same on every command.
 */
import type { Client, ClientOptions } from "../client/types.ts";
import type { KeptIdentity } from "../../identity/files/kept_identity.ts";
import type { Endpoint } from "../../transport/transport.ts";
import type { Terminal } from "./terminal.ts";

/** An answer: what a script reads, and what a person reads. */
export interface Reply {
  /** Stable machine output. */
  readonly json: unknown;
  /** Ends with a newline. */
  text(): string | Promise<string>;
  /** What a person is told beside the text, on standard error; ends with a newline. */
  readonly note?: string;
  /** Where it is not 0: the exit code of a command that answered but found something wrong. */
  readonly exitCode?: number;
}

/** Options of every command. */
export interface CommonOptions {
  readonly json?: boolean;
}

/** Options of the commands that talk to a node, as typed. */
export interface ServerOptions extends CommonOptions {
  /** `host:port`, several with commas. */
  readonly server?: string;
  /** The data folder of a local node. */
  readonly data?: string;
  /** A file of CAs. */
  readonly ca?: string;
  /** Pins of certificates. */
  readonly pin?: readonly string[];
  /** The folder of the identity to prove. */
  readonly identity?: string;
  /** A token to show. */
  readonly useToken?: string;
  /** A file that holds it; `-` is standard input. */
  readonly useTokenFile?: string;
  /** By TLS over TCP, not by QUIC. */
  readonly tls?: boolean;
  /** Time for the command's calls, a duration. */
  readonly timeout?: string;
}

/** A connected client and what is known of where it leads. */
export interface Connected {
  readonly client: Client;
  readonly endpoints: readonly Endpoint[];
  /** Time for a call, ms. */
  readonly timeoutMs: number;
  /** The region of the local node, where it was found by its data folder. */
  readonly region: string | undefined;
  /** The identity that the session was proven with, where there is one. */
  readonly identity?: KeptIdentity;
  /** Ends the client; the process may exit then. */
  close(): Promise<void>;
}

/** What a command is given. */
export interface Shell {
  readonly terminal: Terminal;
  /**
   * Connects to the registry that the options mean.
   *
   * @param onConnection told of what the connection does.
   * @throws RegistryError as the client's `connect`, and where no node is found.
   */
  connect(
    options: ServerOptions,
    onConnection?: ClientOptions["onConnection"],
  ): Promise<Connected>;
}

/** Runs one action of a command and keeps its exit code for the end of the process. */
export type Run = (action: () => Promise<number>) => Promise<void>;

/** Prints a reply and returns the exit code. */
export async function showReply(
  reply: Reply,
  { json }: CommonOptions,
  terminal: Terminal,
): Promise<number> {
  terminal.out(json === true ? jsonDocument(reply.json) : await reply.text());
  if (json !== true && reply.note !== undefined) terminal.err(reply.note);
  return reply.exitCode ?? 0;
}

/** One document, for people to read too, with its newline. */
export function jsonDocument(value: unknown): string {
  return JSON.stringify(value, undefined, 2) + "\n";
}

/** Runs `use` with a client and closes it after. */
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
