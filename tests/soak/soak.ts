/**
 * The result of a soak program, which exports `run`, measures real processes or many sessions, and
 * reports whether its goals were met.
 */
export interface SoakResult {
  /** Figures by name, units in the names. */
  readonly figures: Readonly<Record<string, unknown>>;
  /** Whether every goal was met. */
  readonly holds: boolean;
}

/** Runs a soak; `args` are the command-line arguments after its name. */
export type Soak = (args: readonly string[]) => Promise<SoakResult>;
