/** Replays one scenario file against the production core, and reports the tier that it reached. */
import { InteractionRunner } from "./interaction.ts";
import { MembershipRunner } from "./membership_runner.ts";
import { QuorumRunner } from "./quorum_runner.ts";
import { parseStanzas, type Stanza } from "./stanza.ts";
import { type Tier, tierOf } from "./tiers.ts";

/** A stanza that did not reach tier 3. */
export interface Shortfall {
  readonly stanza: Stanza;
  readonly tier: Tier;
  readonly actual: string;
}

/** The result of replaying a file. */
export interface Replay {
  readonly kind: "interaction" | "confchange" | "quorum";
  readonly tier: Tier;
  readonly stanzaCount: number;
  readonly shortfalls: readonly Shortfall[];
}

interface Runner {
  run(stanza: Stanza): string;
}

/** Returns a file's kind, which its commands show, whatever folder it is in. */
function kindOf(stanzas: readonly Stanza[]): Replay["kind"] {
  const commands = new Set(stanzas.map(({ command }) => command));
  if (["simple", "enter-joint", "leave-joint"].some((name) => commands.has(name))) {
    return "confchange";
  }
  return commands.has("committed") || commands.has("vote") ? "quorum" : "interaction";
}

function runnerOf(kind: Replay["kind"]): Runner {
  if (kind === "confchange") return new MembershipRunner();
  return kind === "quorum" ? new QuorumRunner() : new InteractionRunner();
}

/** Replays the text of a file. @throws RangeError if it violates the grammar. */
export function replay(text: string): Replay {
  const stanzas = parseStanzas(text);
  const kind = kindOf(stanzas);
  const runner = runnerOf(kind);
  const shortfalls: Shortfall[] = [];
  let lowest: Tier = stanzas.length === 0 ? 0 : 3;
  for (const stanza of stanzas) {
    let actual: string;
    let tier: Tier;
    try {
      actual = runner.run(stanza);
      tier = tierOf(stanza, actual);
    } catch (error) {
      // A stanza that breaks the core, or requests an unsupported feature, reaches no tier; later
      // stanzas are replayed nevertheless, because they may reveal more.
      actual = `threw ${error instanceof Error ? error.stack ?? error.message : error}`;
      tier = 0;
    }
    if (tier < 3) shortfalls.push({ stanza, tier, actual });
    if (tier < lowest) lowest = tier;
  }
  return { kind, tier: lowest, stanzaCount: stanzas.length, shortfalls };
}
