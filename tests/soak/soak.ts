/** What a soak program exports as `run`: it measures on real processes or many sessions, and says whether its goals hold. */
export interface SoakResult {
  /** Figures by name, units in the names. */
  readonly figures: Readonly<Record<string, unknown>>;
  /** Whether every goal was met. */
  readonly holds: boolean;
}

/** Runs a soak; `args` are what the command line gave after its name. */
export type Soak = (args: readonly string[]) => Promise<SoakResult>;
