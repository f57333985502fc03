/**
 * Writes the documentation pages that are generated from the code: `deno task docs`. With `--check`
 * it writes nothing and fails if a page differs from what it would write.
 */
import { RECORD_GRANT_GRACE_MS } from "../src/base/limits.ts";
import {
  type AccessRow,
  credentialRows,
  operationRows,
  ROLES,
  ruleRows,
  scopeRows,
} from "./access_table.ts";

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

function scopeTable(): string {
  return scopeRows().map(({ scope, operations }) => `| \`${scope}\` | ${operations.join(", ")} |\n`)
    .join("");
}

/** Returns the sections about what narrows the rights of a role. */
function limitsAndScopes(): string {
  return `## Limits on reads

A certificate or a token may limit what its holder reads: to regions, to records with some labels, and to
domains, exact or \`*.\` and a suffix. Limits only narrow; a record must be within those of the certificate
and those of the token. For the holder, a record outside them does not exist: gets and resolves do not find
it, lists and rankings leave it out, and watches report its removal when it leaves the limits, and nothing
else. The holder's own record, those attached to it and those that its grants name are always within them. A
holder that is limited to regions or labels cannot watch domains.

## Scopes of capabilities

A capability permits the operations of its scopes that its caveats on operations permit too. With a caveat
on prefixes of ids, operations that name no id, or may name several, are refused.

| scope | operations |
| --- | --- |
${scopeTable()}
`;
}

/** Returns the page about access in Markdown. */
function accessPage(): string {
  return `# Access rules

This page is generated from the access rules (\`src/record/access.ts\`) by \`deno task docs\`.
Operations that are not allowed here are denied. A peer's role, its own record and its grants come
from the certificate or token that its session has proven, never from a request. _development_ is
the identity of every session on a node without configured identities; an _anonymous_ peer has
not authenticated: it may request a certificate, and read what \`--anonymous\` permits (_governed_, as
below, by default). _front_ acts for its callers by delegations, each with the rights of its caller; one that
was opened by a certificate alone neither administers nor proposes, applies or mints tokens. _capability_ is
whoever holds a capability, by a front; the columns show one with every [scope](#scopes-of-capabilities). _region_ is a node of a peer region, verified by
that region's trust bundle; it may follow this region, in the name of its own, and nothing else.

A record is _own_ if its id is the peer's, _attached_ if it is an agent that names the peer as its
gateway, and _granted_ if the peer's grants name it. Records of other systems, such as relays, name
their owner: they are own if that is the peer. All fronts together own those that they register for callers
without an identity. Records are registered in the region of the
certificate. The domain of an agent or gateway, and the gateway of an agent, must be granted.

## Operations

${table("operation", operationRows())}
A gateway that deregisters itself may also remove the agents attached to it.

A watch needs the right to read each record that it names; one that names none (_any_) is for those
who may read all records. The right is checked again, and credential hashes are redacted, for every
event: what a peer may no longer read, its watches do not deliver.

${limitsAndScopes()}## When a right ends

A record ends when the right on which it depends ends, even if its lease has not expired: the leader
of its partition logs a command that removes it. From then on its renewals are refused with
\`permission_denied\`.

| event                                           | records that end                               |
| ----------------------------------------------- | ---------------------------------------------- |
| ban of a subject                                | the agent or gateway of that id                |
| ban of a lineage                                | the same, if that lineage wrote it last        |
| a lineage found to have two holders             | the same                                       |
| ban of a token                                  | records granted by the token alone             |
| expiry of a token                               | the same, ${
    RECORD_GRANT_GRACE_MS / 1_000
  } s later                            |
| a certificate that can no longer be renewed     | none at once; its gateway stops renewing it    |

The agents of a banned gateway stay and are resolved without it. An identity whose ban is lifted
must register again.

## Rules

Rights by rule, over a session whose server was pinned:

${table("rule", ruleRows(true))}
A session whose server was not pinned could be relayed by another server, so it is read-only:

${table("rule", ruleRows(false))}
## Credential hashes

Peers that may read a record but not its credential hash receive it without the hash.

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
  if (!success) throw new Error("deno fmt must accept the page: it failed");
  return new TextDecoder().decode(stdout);
}

async function main(args: readonly string[]): Promise<number> {
  const page = await formatted(accessPage());
  if (!args.includes("--check")) {
    await Deno.writeTextFile(ACCESS_PAGE, page);
    return 0;
  }
  if (await Deno.readTextFile(ACCESS_PAGE) === page) return 0;
  console.error("docs/access.md differs from the access rules: run deno task docs");
  return 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
