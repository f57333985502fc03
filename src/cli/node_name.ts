/** Names of nodes on the command line: `node-2`, as `crs cluster start` calls them, or the number alone. */
import { usageFailure } from "./failure.ts";

/** Returns the number of the node. @throws CliFailure `invalid_argument`. */
export function nodeNumber(text: string, name: string): number {
  const match = /^(?:node-)?([1-9][0-9]{0,9})$/.exec(text);
  const number = match === null ? 0 : Number(match[1]);
  if (number >= 1 && number <= 0xffff_ffff) return number;
  throw usageFailure(
    `${name} must be a node's number, such as 2 or node-2: found ${text}`,
    "See crs cluster status.",
  );
}
