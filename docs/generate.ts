/**
 * Writes the pages of the documentation that follow from the code: `deno task docs`. With `--check`
 * it writes nothing and fails where a page is not what it would write.
 */
import { RECORD_GRANT_GRACE_MS } from "../src/base/limits.ts";
import { type AccessRow, credentialRows, operationRows, ROLES, ruleRows } from "./access_table.ts";

const ACCESS_PAGE = new URL("access.md", import.meta.url);

function table(first: string, rows: readonly AccessRow[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  let text = line([first, "record", ...ROLES]) + line(["---", "---", ...ROLES.map(() => ":---:")]);
  let before = "";
  for (const { what, record, allowed } of rows) {
    const marks = ROLES.map((role) => allowed.includes(role) ? "yes" : "–");
    text += line([what === before ? "" : what, record, ...marks]);
    before = what;
  }
  return text;
}

/** The page about access. */
function accessPage(): string {
  return `# Who may do what

This page is made from the access rules (\`src/record/access.ts\`) by \`deno task docs\`. What is not
said is denied. The role, the own record and the grants come from the certificate or token that a
session proved, never from a request; _development_ is the identity of a node that has no others, a
_stranger_ whoever has none yet and asks for a certificate.

A record is _own_ where its id is the identity's, _attached_ where it is an agent that names the own
gateway, _granted_ where the identity names it. A record is registered in the region of the
certificate; an agent's and a gateway's domain, and an agent's gateway, must be granted.

## Operations

${table("operation", operationRows())}
A gateway that deregisters itself may take the agents that are attached to it along.

## When a right ends

A record ends with what it rests on, whatever is left of its lease, by a logged command of its
partition's leader; its renewals are refused with \`permission_denied\` from then on.

| what ends                                       | which records end                              |
| ----------------------------------------------- | ---------------------------------------------- |
| ban of a subject                                | the agent or gateway of that id                |
| ban of a lineage                                | the same, where that lineage wrote it last     |
| a lineage with two holders                      | the same                                       |
| ban of a token                                  | what the token granted, unless something else grants it too |
| end of a token                                  | the same, ${
    RECORD_GRANT_GRACE_MS / 1_000
  } s later                            |
| a certificate that can be renewed no more       | none at once; its gateway renews it no more    |

The agents of a gateway that was banned stay, and are resolved without it. Whoever is let in again
registers anew.

## Rules

By rule, over a session whose server was pinned:

${table("rule", ruleRows(true))}
A session that was not pinned could be relayed by another server, so it is read-only:

${table("rule", ruleRows(false))}
## Credential hashes

A record is shown without its credential hash to who may read it and yet may not see that.

${table("session", credentialRows())}`;
}

async function formatted(markdown: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", "md", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(markdown));
  await writer.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error("deno fmt refused the page");
  return new TextDecoder().decode(stdout);
}

async function main(args: readonly string[]): Promise<number> {
  const page = await formatted(accessPage());
  if (!args.includes("--check")) {
    await Deno.writeTextFile(ACCESS_PAGE, page);
    return 0;
  }
  if (await Deno.readTextFile(ACCESS_PAGE) === page) return 0;
  console.error("docs/access.md is not what the rules say: run deno task docs");
  return 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
