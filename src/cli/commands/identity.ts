/** `crs identity …`: certificates, tokens, bans, and who did what. */
import type { Command } from "commander";
import type { InitFlags, IssueFlags, JoinTokenFlags, RotateFlags } from "../actions/identity.ts";
import type { AuditFlags, BanFlags } from "../actions/identity_administration.ts";
import type { MintFlags, VerifyFlags } from "../actions/identity_tokens.ts";
import type { Run, ServerOptions, Shell } from "../shell.ts";
import { collect, newCommand, newGroup, newServerCommand } from "./options.ts";

type Certificates = typeof import("../actions/identity.ts");
type Tokens = typeof import("../actions/identity_tokens.ts");
type Administration = typeof import("../actions/identity_administration.ts");

/** `crs identity`. */
export function identityCommand(shell: Shell, run: Run): Command {
  const act = (use: (actions: Certificates) => Promise<number>) =>
    run(async () => await use(await import("../actions/identity.ts")));
  const check = (use: (actions: Tokens) => Promise<number>) =>
    run(async () => await use(await import("../actions/identity_tokens.ts")));
  const administer = (use: (actions: Administration) => Promise<number>) =>
    run(async () => await use(await import("../actions/identity_administration.ts")));
  return newGroup("identity", "Makes, renews, checks and bans identities.", [
    newCommand(
      "init",
      "Makes a trust domain: an offline root, the authority of a region, an administrator. Keys are " +
        "written to files that only this user reads.",
      ["identity init --trust-domain registry.example --region eu-1 --out ./pki"],
    )
      .requiredOption("--trust-domain <name>", "name of the trust domain, such as registry.example")
      .requiredOption("--region <name>", "region whose authority is made")
      .requiredOption("--out <folder>", "where; it must hold no trust domain yet")
      .action((flags: InitFlags) => act((actions) => actions.init(flags, shell))),
    newCommand(
      "rotate",
      "Makes a key of an authority folder anew, beside the old one: token-key, intermediate or " +
        "bundle-signer. Nodes publish it before they use it. The last two the root must sign, every " +
        "90 days.",
      [
        "identity rotate token-key --authority ./pki/authority",
        "identity rotate intermediate --authority ./pki/authority --root ./pki/root",
      ],
    )
      .argument("<part>", "token-key, intermediate or bundle-signer")
      .requiredOption("--authority <folder>", "the region's folder")
      .option("--root <folder>", "folder of the root's key")
      .action((part: string, flags: RotateFlags) =>
        act((actions) => actions.rotate(part, flags, shell))
      ),
    addGrantOptions(newServerCommand(
      "join-token",
      "Makes a one-time token for somebody's first certificate. It is shown once and lives for ten " +
        "minutes. Needs a controller's identity.",
      [
        "identity join-token gateway --identity ./pki/administrator",
        "identity join-token agent --domain bank.example --gateway <id>",
      ],
    ))
      .argument("<role>", "agent, gateway, proxy, controller or node")
      .option("--id <uuid>", "id of the subject, and of its record (default: a new one)")
      .option("--region <name>", "region (default: that of the own identity)")
      .action((role: string, flags: JoinTokenFlags) =>
        act((actions) => actions.joinToken(role, flags, shell))
      ),
    newServerCommand(
      "issue",
      "Gets a certificate into the folder of --identity: the first one by a join token, or an " +
        "administrator's by its key. The server must be pinned.",
      [
        "identity issue --identity ./gateway --subject spiffe://… --pin sha256:… --token-file -",
        "identity issue --identity ./pki/administrator",
      ],
    )
      .option("--token-file <path>", "file of the join token; - for standard input")
      .option(
        "--token <text>",
        "the join token itself, which other users of this machine see (env: CRS_JOIN_TOKEN)",
      )
      .option("--subject <spiffe id>", "whom the token is for")
      .option("--root <file>", "PEM file of the root (default: what the pinned server says)")
      .action((flags: IssueFlags) => act((actions) => actions.issue(flags, shell))),
    newServerCommand(
      "renew",
      "Renews a certificate now, for a new key; one that has ended too, within a day. Commands do " +
        "it by themselves when half of its life is over.",
      ["identity renew --identity ./gateway"],
    ).action((flags: ServerOptions) => act((actions) => actions.renew(flags, shell))),
    newGroup("token", "Mints and checks access tokens.", [
      addGrantOptions(newServerCommand(
        "mint",
        "Mints a token that is bound to the own certificate, or, as a controller, to another's by " +
          "--subject, with what it grants beside that; who has it shows it by --use-token-file.",
        [
          "identity token mint --audience api.example --life 5m",
          "identity token mint --subject spiffe://… --domain bank.example",
        ],
      ))
        .option("--audience <name>", "who is to take it (default with --subject: its registry)")
        .option("--subject <spiffe id>", "whose certificate it is bound to (default: the own)")
        .option("--life <duration>", "how long it counts, at most 15m", "5m")
        .action((flags: MintFlags) => check((actions) => actions.mint(flags, shell))),
      newServerCommand("verify", "Checks a token as whoever is served with it would.", [
        "identity token verify <token> --audience api.example",
        "identity token verify - --audience api.example --jwks keys.json < token",
      ])
        .argument("<token>", "the token; - for standard input")
        .requiredOption("--audience <name>", "for whom it must be")
        .option("--issuer <name>", "who must have issued it (default: its trust domain)")
        .option("--jwks <file>", "public keys (default: those of the node)")
        .action((token: string, flags: VerifyFlags) =>
          check((actions) => actions.verify(token, flags, shell))
        ),
    ]),
    newServerCommand("jwks", "Prints the public keys of tokens, a JWK Set.", ["identity jwks"])
      .action((flags: ServerOptions) => check((actions) => actions.jwks(flags, shell))),
    newServerCommand("bundle", "Prints the signed trust bundle.", ["identity bundle > bundle.json"])
      .action((flags: ServerOptions) => check((actions) => actions.bundle(flags, shell))),
    ...(["ban", "unban"] as const).map((name) =>
      newServerCommand(
        name,
        name === "ban"
          ? "Bans an identity or a token: open sessions and records end within a second. Needs a " +
            "controller."
          : "Lifts a ban. Needs a controller.",
        [`identity ${name} subject spiffe://…`, `identity ${name} lineage 7`],
      )
        .argument("<kind>", "subject, lineage or token")
        .argument("<name>", "SPIFFE id, number of the lineage, or id of the token")
        .option("--reason <text>", "why, for the audit log")
        .option("--for <duration>", "for how long (default: until it is lifted)")
        .action((kind: string, subject: string, flags: BanFlags) =>
          administer((actions) =>
            actions.ban({ kind, name: subject, lifted: name === "unban" }, flags, shell)
          )
        )
    ),
    newServerCommand(
      "bans",
      "Lists the bans that were not lifted: whom, until when, by whom and why. Needs a controller.",
      ["identity bans", "identity bans --json"],
    ).action((flags: ServerOptions) => administer((actions) => actions.bans(flags, shell))),
    newServerCommand(
      "remove-record",
      "Ends another's record, by right of administration; the audit log says who did it.",
      ["identity remove-record gateway <id>"],
    )
      .argument("<kind>", "agent or gateway")
      .argument("<id>", "UUID of the record")
      .action((kind: string, id: string, flags: ServerOptions) =>
        administer((actions) => actions.removeRecord(kind, id, flags, shell))
      ),
    newServerCommand(
      "remove-member",
      "Ends a node's membership for good, and bans its certificates; the audit log says who did it.",
      ["identity remove-member 3"],
    )
      .argument("<node>", "number of the node")
      .action((node: string, flags: ServerOptions) =>
        administer((actions) => actions.removeMember(node, flags, shell))
      ),
    newServerCommand(
      "audit",
      "Shows what was issued, renewed, banned and administered. --verify checks that no entry was " +
        "changed or left out. Needs a controller.",
      ["identity audit --verify", "identity audit --last 20 --json"],
    )
      .option("--verify", "checks the chain of hashes; exit code 1 where it is broken")
      .option("--last <count>", "only the newest entries")
      .action((flags: AuditFlags) => administer((actions) => actions.audit(flags, shell))),
  ]);
}

/** What a token may grant. */
function addGrantOptions(command: Command): Command {
  return command
    .option("--domain <name>", "domain that it may claim; may be repeated", collect)
    .option("--gateway <uuid>", "gateway that it may name; may be repeated", collect)
    .option("--credential-hashes", "it may read credential hashes");
}
