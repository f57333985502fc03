/**
 * One end of a session of a simulated wire. As with QUIC, streams are ordered and reliable until the
 * session ends; an end that hears nothing for its idle time ends silently, and its peer notices by
 * silence too, or by its next packet.
 *
 * Everything that reaches an end runs in the program that has it: later while that program stands still,
 * and never once it was killed.
 */
import { newListenerStats } from "../../../transport/admission.ts";
import { WINDOW_BYTES } from "../../../transport/memory/network.ts";
import { MemorySession, type MemorySessionOptions } from "../../../transport/memory/session.ts";
import type { Machine, Process } from "../machine.ts";

/** Parameters of a {@link WireSession}. */
export interface WireSessionOptions
  extends Omit<MemorySessionOptions, "scheduler" | "windowBytes" | "stats"> {
  /** The machine and the program that have this end. */
  readonly machine: Machine;
  readonly process: Process;
  /** The address of the machine at the other end. */
  readonly remoteMachine: number;
  readonly nowMs: number;
}

/** One end of a session; {@link MemorySession.join} connects it to its peer. */
export class WireSession extends MemorySession {
  readonly options: WireSessionOptions;
  /** When something of the peer last arrived, true time, ms. */
  heardMs: number;

  constructor(options: WireSessionOptions) {
    super({
      ...options,
      scheduler: options.process,
      windowBytes: WINDOW_BYTES,
      stats: newListenerStats(),
    });
    this.options = options;
    this.heardMs = options.nowMs;
  }

  /** Whether the program that has this end lives, and the end with it. */
  get isAlive(): boolean {
    return !this.ended && this.options.process.isAlive;
  }

  /** Ends the session silently, as after its idle time; the wire lets the peer notice. */
  override lose(message: string): void {
    this.finish({ by: "lost", code: "connection_lost", message });
  }
}
