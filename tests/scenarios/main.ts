/**
 * `deno task scenarios [--verbose] [name…]`: replays all scenario files of a folder against the
 * production core and prints the tier that each reached (see tiers.ts). The folder is
 * `RAFT_SCENARIOS`, or `../shared/vectors/raft` beside the project; if it is missing, one line says
 * so. Exit code 1 if a file reached less than tier 3.
 */
import { findScenarios, scenarioFolder } from "./folder.ts";
import { replay } from "./replay.ts";

const verbose = Deno.args.includes("--verbose");
const names = Deno.args.filter((arg) => !arg.startsWith("--"));
const folder = scenarioFolder();
const found = findScenarios(folder);
if (found === undefined) {
  console.log(`skipped: no scenario files in ${folder} (set RAFT_SCENARIOS to their folder)`);
  Deno.exit(0);
}
const counts = [0, 0, 0, 0];
for (
  const name of found.filter((file) =>
    names.length === 0 || names.some((part) => file.includes(part))
  )
) {
  let line: string;
  try {
    const { tier, stanzaCount, shortfalls } = replay(Deno.readTextFileSync(`${folder}/${name}`));
    counts[tier]!++;
    line = `tier ${tier}  ${name}  (${stanzaCount} stanzas)`;
    if (shortfalls.length > 0) line += `, ${shortfalls.length} below tier 3`;
    console.log(line);
    for (const { stanza, tier: reached, actual } of verbose ? shortfalls : []) {
      console.log(`  line ${stanza.line}: ${stanza.command} reached tier ${reached}; expected`);
      console.log(stanza.expected.replaceAll(/^/gm, "    - "));
      console.log(actual.replaceAll(/^/gm, "    + "));
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    counts[0]!++;
    console.log(`tier 0  ${name}  ${error.message}`);
  }
}
const total = counts.reduce((sum, count) => sum + count, 0);
console.log(
  `${total} files: ${counts[3]} at tier 3, ${counts[2]} at tier 2, ${counts[1]} at tier 1, ` +
    `${counts[0]} below`,
);
Deno.exit(counts[3] === total ? 0 : 1);
