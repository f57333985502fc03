/** The commands of quorum scenarios: the committed index, and the result of a vote. */
import { allVoters, committedIndex, voteResult } from "../../src/raft/quorum.ts";
import { type Stanza, valuesFor, wholeNumber } from "./stanza.ts";

const RESULT_NAMES = { won: "VoteWon", lost: "VoteLost", pending: "VotePending" } as const;

/** Replays quorum scenarios, whose stanzas are independent. */
export class QuorumRunner {
  /** Runs a stanza and returns its output. */
  run(stanza: Stanza): string {
    const half = valuesFor(stanza, "cfgj");
    const voters = idsFor(valuesFor(stanza, "cfg"));
    const votersOutgoing = half?.[0] === "zero" ? [] : idsFor(half);
    const config = { voters: ascending(voters), votersOutgoing: ascending(votersOutgoing) };
    const isVote = stanza.command === "vote";
    if (!isVote && stanza.command !== "committed") return "unknown command";

    // Values belong to the voters in the order in which they are first named.
    const named = [...new Set([...voters, ...votersOutgoing])];
    const values = valuesFor(stanza, isVote ? "votes" : "idx") ?? [];
    if (values.length !== named.length) {
      return `error: mismatched input (explicit or _) for voters [${named.join(" ")}]: ` +
        `[${values.join(" ")}]`;
    }
    const known = new Map(named.map((id, at) => [id, values[at]!]));
    for (const [id, value] of known) if (value === "_") known.delete(id);

    if (isVote) {
      return RESULT_NAMES[
        voteResult(config, (id) => {
          const vote = known.get(id);
          return vote === undefined ? undefined : vote === "y";
        })
      ];
    }
    const acked = (id: number) => Number(known.get(id) ?? 0);
    const index = committedIndex(config, acked);
    return plot(allVoters(config), known) + (Number.isFinite(index) ? String(index) : "∞");
  }
}

function idsFor(values: readonly string[] | undefined): number[] {
  return [...new Set((values ?? []).map(wholeNumber))];
}

function ascending(ids: readonly number[]): number[] {
  return [...ids].sort((left, right) => left - right);
}

/** Returns a bar for each voter, as long as the number of voters that acknowledged less. */
function plot(voters: readonly number[], known: ReadonlyMap<number, string>): string {
  const count = voters.length;
  if (count === 0) return "<empty majority quorum>";
  const indexes = voters.map((id) => Number(known.get(id) ?? 0));
  let text = `${" ".repeat(count)}    idx\n`;
  voters.forEach((id, at) => {
    const bar = indexes.filter((index) => index < indexes[at]!).length;
    const head = known.has(id)
      ? `${"x".repeat(bar)}>${" ".repeat(count - bar)}`
      : `?${" ".repeat(count)}`;
    text += `${head} ${String(indexes[at]).padStart(5)}    (id=${id})\n`;
  });
  return text;
}
