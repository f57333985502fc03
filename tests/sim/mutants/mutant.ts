/**
 * A planted bug: the rule that it breaks, and the rewriting of the source. Anchors are exact pieces
 * of the current source; one that is missing or ambiguous is an error, because the mutant would no
 * longer be the bug that its name says.
 */

import { type PlacedPlan, placedPlanOf } from "../placed/plan.ts";
import { type Plan, planOf } from "../plan.ts";
import { type RegionsPlan, regionsPlanOf } from "../regions/plan.ts";

/** One place to rewrite. */
export interface Edit {
  /** Relative to the root. */
  readonly file: string;
  readonly anchor: string;
  readonly replacement: string;
}

/** A planted bug. */
export interface Mutant {
  /**
   * Selects the seeds that can show it at all, by their plan; others are not searched. Default:
   * all.
   */
  readonly shows?: (plan: Plan) => boolean;
  /**
   * Set if seeds of clusters of whole nodes catch it (`placed/`), instead of those of groups: selects the
   * seeds that can show it.
   */
  readonly showsPlaced?: (plan: PlacedPlan) => boolean;
  /** The same for seeds of regions that mirror each other (`regions/`). */
  readonly showsRegions?: (plan: RegionsPlan) => boolean;
  /**
   * The test file that catches it, relative to the root, instead of a seed: for rules about things
   * that the simulator lacks (identities), or that no run of a few simulated seconds shows.
   */
  readonly test?: string;
  /** Snake case; its name in the table and on the command line. */
  readonly name: string;
  /** The rule that it breaks, in one sentence. */
  readonly breaks: string;
  readonly edits: readonly Edit[];
}

/** The simulators, by the folder of their seeds. */
export type Simulator = "groups" | "placed" | "regions";

/** Returns the simulator whose seeds catch a mutant. */
export function simulatorOf({ showsPlaced, showsRegions }: Mutant): Simulator {
  if (showsRegions !== undefined) return "regions";
  return showsPlaced === undefined ? "groups" : "placed";
}

/** Returns the seeds from `from` on, at most `count`, that can show a mutant at all. */
export function showingSeeds(
  { shows, showsPlaced, showsRegions }: Mutant,
  { from, count }: { readonly from: number; readonly count: number },
): number[] {
  const seeds = Array.from({ length: count }, (_, at) => from + at);
  if (showsPlaced !== undefined) return seeds.filter((seed) => showsPlaced(placedPlanOf(seed)));
  if (showsRegions !== undefined) {
    return seeds.filter((seed) => showsRegions(regionsPlanOf(seed)));
  }
  return shows === undefined ? seeds : seeds.filter((seed) => shows(planOf(seed)));
}

/** Reads the source at a path relative to the root. */
export type ReadSource = (file: string) => string;

/**
 * Returns the rewritten files of a mutant, by path.
 *
 * @throws RangeError if an anchor does not occur exactly once.
 */
export function rewrite(mutant: Mutant, read: ReadSource): Map<string, string> {
  const files = new Map<string, string>();
  for (const { file, anchor, replacement } of mutant.edits) {
    const source = files.get(file) ?? read(file);
    const at = source.indexOf(anchor);
    const what = at === -1
      ? "is gone"
      : source.indexOf(anchor, at + 1) === -1
      ? undefined
      : "stands there more than once";
    if (what !== undefined) {
      throw new RangeError(
        `Cannot plant ${mutant.name}: its anchor ${what} in ${file}:\n${anchor}`,
      );
    }
    files.set(file, source.slice(0, at) + replacement + source.slice(at + anchor.length));
  }
  return files;
}
