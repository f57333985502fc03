/** The command group `crs identity …`: certificates, tokens, bans and the audit log. */
import type { Command } from "commander";
import type { InitFlags, IssueFlags, JoinTokenFlags, RotateFlags } from "../actions/identity.ts";
import type { AuditFlags, BanFlags } from "../actions/identity_administration.ts";
import type { MintFlags, VerifyFlags } from "../actions/identity_tokens.ts";
import type { RunAction, ServerOptions, Shell } from "../shell.ts";
import { capabilityCommand } from "./capability.ts";
import { collect, newCommand, newGroup, newServerCommand } from "./options.ts";

type Certificates = typeof import("../actions/identity.ts");
type Tokens = typeof import("../actions/identity_tokens.ts");
type Administration = typeof import("../actions/identity_administration.ts");

/** Creates `crs identity`. */
export function identityCommand(shell: Shell, run: RunAction): Command {
  const act: Act<Certificates> = (use) =>
    run(async () => await use(await import("../actions/identity.ts")));
  const check: Act<Tokens> = (use) =>
    run(async () => await use(await import("../actions/identity_tokens.ts")));
  const administer: Act<Administration> = (use) =>
    run(async () => await use(await import("../actions/identity_administration.ts")));
  return newGroup("identity", "Creates, renews, verifies and bans identities.", [
    ...trustDomainCommands(shell, act),
    ...certificateCommands(shell, act),
    whoAmICommand(shell, run),
    ...tokenCommands(shell, check),
    capabilityCommand(shell, run),
    ...banCommands(shell, administer),
    ...administrationCommands(shell, administer),
  ]);
}

/** Loads the actions of a command and runs one of them. */
type Act<Actions> = (use: (actions: Actions) => Promise<number>) => Promise<void>;

/** Creates the commands that write the keys of a trust domain. */
function trustDomainCommands(shell: Shell, act: Act<Certificates>): Command[] {
  return [
    newCommand(
      "init",
      "Creates a trust domain: an offline root, the authority of a region and an administrator. " +
        "Keys are written to files that only this user can read.",
      ["identity init --trust-domain registry.example --region eu-1 --out ./pki"],
    )
      .requiredOption("--trust-domain <name>", "name of the trust domain, such as registry.example")
      .requiredOption("--region <name>", "region of the authority")
      .requiredOption("--out <folder>", "output folder, which must not contain a trust domain yet")
      .action((flags: InitFlags) => act((actions) => actions.init(flags, shell))),
    newCommand(
      "rotate",
      "Adds a new key to an authority folder, beside the old one: token-key, capability-key, " +
        "checkpoint-key, intermediate or bundle-signer. Nodes publish it before they use it, but a " +
        "capability-key, which is secret, is used at once, and a checkpoint-key when the signers list " +
        "it. The last two must be signed by the root every 90 days.",
      [
        "identity rotate token-key --authority ./pki/authority",
        "identity rotate intermediate --authority ./pki/authority --root ./pki/root",
      ],
    )
      .argument(
        "<part>",
        "token-key, capability-key, checkpoint-key, intermediate or bundle-signer",
      )
      .requiredOption("--authority <folder>", "authority folder of the region")
      .option("--root <folder>", "folder of the root key")
      .action((part: string, flags: RotateFlags) =>
        act((actions) => actions.rotate(part, flags, shell))
      ),
  ];
}

/** Creates the commands that obtain certificates. */
function certificateCommands(shell: Shell, act: Act<Certificates>): Command[] {
  return [
    addGrantOptions(newServerCommand(
      "join-token",
      "Creates a one-time token for a subject's first certificate. It is shown once and is valid " +
        "for ten minutes. Requires a controller's identity.",
      [
        "identity join-token gateway --identity ./pki/administrator",
        "identity join-token agent --domain bank.example --gateway <id>",
      ],
    ))
      .argument("<role>", "agent, gateway, proxy, controller, node or front")
      .option("--id <uuid>", "id of the subject, and of its record (default: a new one)")
      .option("--region <name>", "region (default: that of the identity in use)")
      .action((role: string, flags: JoinTokenFlags) =>
        act((actions) => actions.joinToken(role, flags, shell))
      ),
    newServerCommand(
      "issue",
      "Obtains a certificate and stores it in the folder of --identity: a first one with a join " +
        "token, or an administrator's with its key. The server must be pinned.",
      [
        "identity issue --identity ./gateway --subject spiffe://… --pin sha256:… --token-file -",
        "identity issue --identity ./pki/administrator",
      ],
    )
      .option("--token-file <path>", "file that contains the join token; - for standard input")
      .option(
        "--token <text>",
        "the join token itself, which other users of this machine can see (env: CRS_JOIN_TOKEN)",
      )
      .option("--subject <spiffe id>", "subject of the certificate")
      .option(
        "--root <file>",
        "PEM file of the root (default: the roots that the pinned server sends)",
      )
      .action((flags: IssueFlags) => act((actions) => actions.issue(flags, shell))),
    newServerCommand(
      "renew",
      "Renews a certificate now, with a new key; also one that expired less than a day ago. " +
        "Commands do so automatically after half of its lifetime.",
      ["identity renew --identity ./gateway"],
    ).action((flags: ServerOptions) => act((actions) => actions.renew(flags, shell))),
  ];
}

/** Creates `crs identity whoami`. */
function whoAmICommand(shell: Shell, run: RunAction): Command {
  return newServerCommand(
    "whoami",
    "Shows the identity in use and its rights, as the registry knows them.",
    ["identity whoami --identity ./gateway", "identity whoami --use-token-file token.txt"],
  ).action((flags: ServerOptions) =>
    run(async () => await (await import("../actions/whoami.ts")).whoAmI(flags, shell))
  );
}

/** Creates the commands on access tokens and on what verifies them. */
function tokenCommands(shell: Shell, check: Act<Tokens>): Command[] {
  return [
    newGroup("token", "Mints and verifies access tokens.", [
      addGrantOptions(newServerCommand(
        "mint",
        "Mints a token that is bound to the certificate of this identity or, as a controller, to " +
          "that of --subject, with additional grants. Its holder presents it with --use-token-file.",
        [
          "identity token mint --audience api.example --life 5m",
          "identity token mint --subject spiffe://… --domain bank.example",
        ],
      ))
        .option(
          "--audience <name>",
          "service that accepts it (default with --subject: its registry)",
        )
        .option(
          "--subject <spiffe id>",
          "subject whose certificate it is bound to (default: this identity)",
        )
        .option("--life <duration>", "lifetime, at most 15m", "5m")
        .action((flags: MintFlags) => check((actions) => actions.mint(flags, shell))),
      newServerCommand("verify", "Verifies a token as a service that receives it would.", [
        "identity token verify --token-file token --audience api.example",
        "identity token verify --token-file - --audience api.example --jwks keys.json < token",
      ])
        .argument(
          "[token]",
          "the token itself, which other users of this machine can see (env: CRS_VERIFY_TOKEN)",
        )
        .option("--token-file <path>", "file that contains the token; - for standard input")
        .requiredOption("--audience <name>", "required audience")
        .option("--issuer <name>", "required issuer (default: its trust domain)")
        .option("--jwks <file>", "public keys (default: those of the node)")
        .action((token: string | undefined, flags: VerifyFlags) =>
          check((actions) => actions.verify(token, flags, shell))
        ),
    ]),
    newServerCommand("jwks", "Prints the public keys of tokens as a JWK Set.", ["identity jwks"])
      .action((flags: ServerOptions) => check((actions) => actions.jwks(flags, shell))),
    newServerCommand("bundle", "Prints the signed trust bundle.", ["identity bundle > bundle.json"])
      .action((flags: ServerOptions) => check((actions) => actions.bundle(flags, shell))),
  ];
}

/** Creates the commands on bans. */
function banCommands(shell: Shell, administer: Act<Administration>): Command[] {
  return [
    ...(["ban", "unban"] as const).map((name) =>
      newServerCommand(
        name,
        name === "ban"
          ? "Bans an identity, a token or a capability: open sessions and records end within a second. " +
            "Requires a controller."
          : "Lifts a ban. Requires a controller.",
        [`identity ${name} subject spiffe://…`, `identity ${name} lineage 7`],
      )
        .argument("<kind>", "subject, lineage, token or capability")
        .argument("<name>", "SPIFFE id, number of the lineage, or id of the token or capability")
        .option("--reason <text>", "reason, for the audit log")
        .option("--for <duration>", "duration (default: until it is lifted)")
        .action((kind: string, subject: string, flags: BanFlags) =>
          administer((actions) =>
            actions.ban({ kind, name: subject, lifted: name === "unban" }, flags, shell)
          )
        )
    ),
    newServerCommand(
      "bans",
      "Lists the bans that were not lifted, with their end, author and reason. Requires a controller.",
      ["identity bans", "identity bans --json"],
    ).action((flags: ServerOptions) => administer((actions) => actions.bans(flags, shell))),
  ];
}

/** Creates the other commands of an administrator. */
function administrationCommands(shell: Shell, administer: Act<Administration>): Command[] {
  return [
    newServerCommand(
      "remove-record",
      "Removes another owner's record, by right of administration; recorded in the audit log.",
      ["identity remove-record gateway <id>"],
    )
      .argument("<kind>", "agent or gateway")
      .argument("<id>", "UUID of the record")
      .action((kind: string, id: string, flags: ServerOptions) =>
        administer((actions) => actions.removeRecord(kind, id, flags, shell))
      ),
    newServerCommand(
      "remove-member",
      "Ends a node's membership permanently and bans its certificates; recorded in the audit log.",
      ["identity remove-member 3"],
    )
      .argument("<node>", "number of the node")
      .action((node: string, flags: ServerOptions) =>
        administer((actions) => actions.removeMember(node, flags, shell))
      ),
    newServerCommand(
      "audit",
      "Shows what was issued, renewed, banned and administered. --verify checks that no entry was " +
        "changed or removed. Requires a controller.",
      ["identity audit --verify", "identity audit --last 20 --json"],
    )
      .option("--verify", "verifies the hash chain; exit code 1 if it is broken")
      .option("--last <count>", "shows only the newest entries")
      .action((flags: AuditFlags) => administer((actions) => actions.audit(flags, shell))),
  ];
}

/** Adds the options that describe a token's grants. */
function addGrantOptions(command: Command): Command {
  return command
    .option("--domain <name>", "domain that the holder may claim; repeatable", collect)
    .option("--gateway <uuid>", "gateway that the holder may name; repeatable", collect)
    .option("--credential-hashes", "lets the holder read credential hashes")
    .option(
      "--read-region <name>",
      "limits what it reads to a region; repeatable: any of them",
      collect,
    )
    .option(
      "--read-label <key=value>",
      "limits it to records with a label; repeatable: all",
      collect,
    )
    .option(
      "--read-domain <name>",
      "limits it to a domain or *.suffix; repeatable: any of them",
      collect,
    );
}
