/** The command groups `crs governance …` and `crs descriptor …`: signers, and what they sign. */
import type { Command } from "commander";
import type { GenesisFlags, KeygenFlags, MirrorFlags, SignFlags } from "../actions/governance.ts";
import type {
  ApplyFlags,
  GetFlags,
  LogFlags,
  ProposeFlags,
  SignatureFlags,
  VerificationFlags,
} from "../actions/descriptor.ts";
import type {
  DraftFlags,
  FreezeFlags,
  OutFlags,
  SignersFlags,
} from "../actions/governance_drafts.ts";
import type { RunAction, ServerOptions, Shell } from "../shell.ts";
import { collect, newCommand, newGroup, newServerCommand } from "./options.ts";

type Actions = typeof import("../actions/governance.ts");
type DraftActions = typeof import("../actions/governance_drafts.ts");
type DescriptorActions = typeof import("../actions/descriptor.ts");

/** Creates `crs governance`. */
export function governanceCommand(shell: Shell, run: RunAction): Command {
  const act = (use: (actions: Actions) => Promise<number>) =>
    run(async () => await use(await import("../actions/governance.ts")));
  return newGroup("governance", "Creates the keys of signers, and the governed plane.", [
    newCommand(
      "keygen",
      "Creates the key of a signer, in a file that only this user can read, and prints the signer's id " +
        "with the public key. Needs no node: run it on the signer's machine, and keep the file there.",
      ["governance keygen --out a.key", "governance keygen --out a.key --id org:alpha#key1"],
    )
      .requiredOption("--out <file>", "file of the key, which must not exist yet")
      .option(
        "--id <signer>",
        "id of the signer (default: the name of the file without its ending)",
      )
      .action((flags: KeygenFlags) => act((actions) => actions.keygen(flags, shell))),
    newServerCommand(
      "init",
      "Begins the governed plane with its first signers, once, and prints the hash of the genesis, by " +
        "which everybody who verifies descriptors recognizes this registry. Requires a controller.",
      ["governance init --signer a=<public key> --signer b=<public key> --threshold 2"],
    )
      .requiredOption(
        "--signer <id=key>",
        "a signer and the public key that keygen printed; repeatable",
        collect,
      )
      .requiredOption("--threshold <number>", "signers that must agree")
      .action((flags: GenesisFlags) => act((actions) => actions.init(flags, shell))),
    newServerCommand(
      "status",
      "Shows the version, the signers and the threshold of the governed plane.",
      ["governance status"],
    )
      .action((flags: ServerOptions) => act((actions) => actions.status(flags, shell))),
    newServerCommand(
      "mirror",
      "Makes this region, which must be ungoverned, a mirror of a peer region's governed plane: it serves " +
        "the same descriptors, and proposals are made there. After the home was moved, it makes the region " +
        "that was the home follow the new one. Requires a controller.",
      ["governance mirror eu-1 --genesis sha256:<hash>"],
    )
      .argument("<region>", "the home: a region that was added by crs region add")
      .requiredOption("--genesis <hash>", "hash of the genesis that it must have")
      .action((region: string, flags: MirrorFlags) =>
        act((actions) => actions.mirror(region, flags, shell))
      ),
    ...draftCommands(shell, run),
  ]);
}

/** Creates the commands that write the next version of what governs the registry itself. */
function draftCommands(shell: Shell, run: RunAction): Command[] {
  const act = (use: (actions: DraftActions) => Promise<number>) =>
    run(async () => await use(await import("../actions/governance_drafts.ts")));
  const freeze = (frozen: boolean, name: string, description: string) =>
    newServerCommand(name, description, [`governance ${name} --reason drill --out ${name}.json`])
      .requiredOption("--reason <text>", "the reason, for the log")
      .requiredOption("--out <file>", "file of the payload")
      .action((flags: FreezeFlags) => act((actions) => actions.draftFreeze(frozen, flags, shell)));
  return [
    newServerCommand(
      "signers",
      "Writes the next signer set to a file, for signers to read and to sign: the present one with the " +
        "changes that are named. It takes the old and the new quorum.",
      [
        "governance signers --add d=<public key> --remove a --out signers.json",
        "governance signers --revoke <public key> --threshold 1 --out signers.json",
      ],
    )
      .option("--add <id=key>", "a new signer, or a new key of one; repeatable", collect)
      .option("--remove <id>", "a signer that signs no more; repeatable", collect)
      .option("--revoke <key>", "a key that never counts again; repeatable", collect)
      .option("--threshold <number>", "signers that must agree (default: as now)")
      .option("--add-checkpoint-key <key>", "a key of nodes for checkpoints; repeatable", collect)
      .option("--drop-checkpoint-key <key>", "one that signs no more; repeatable", collect)
      .requiredOption("--out <file>", "file of the payload")
      .action((flags: SignersFlags) => act((actions) => actions.draftSigners(flags, shell))),
    freeze(
      true,
      "freeze",
      "Writes a freeze to a file: signed by one signer and applied, it stops all other changes.",
    ),
    newServerCommand(
      "home",
      "Writes the move of the governed plane's home to a file. It takes a quorum. Propose and apply it at " +
        "the present home or, if that is lost, at the region that it names.",
      ["governance home us-1 --out home.json"],
    )
      .argument("<region>", "the region in which proposals are to be made")
      .requiredOption("--out <file>", "file of the payload")
      .action((region: string, flags: OutFlags) =>
        act((actions) => actions.draftHome(region, flags, shell))
      ),
    freeze(false, "unfreeze", "Writes the end of a freeze to a file. It takes a quorum."),
  ];
}

/** Creates `crs descriptor`. */
export function descriptorCommand(shell: Shell, run: RunAction): Command {
  const act = (use: (actions: DescriptorActions) => Promise<number>) =>
    run(async () => await use(await import("../actions/descriptor.ts")));
  return newGroup("descriptor", "Signs, proposes, applies, reads and verifies descriptors.", [
    newCommand(
      "sign",
      "Signs the canonical form of a payload, so spacing and order of members do not count. Schema, " +
        "version and prev_hash may be left out of the first version of a descriptor. Needs no node.",
      ["descriptor sign --file svc-storage.json --key a.key --out a.sig"],
    )
      .requiredOption("--file <file>", "the payload as JSON; - for standard input")
      .requiredOption("--key <file>", "the signer's key, created by crs governance keygen")
      .requiredOption("--out <file>", "file of the signature; replaced if it exists")
      .action(async (flags: SignFlags) => {
        await run(async () => await (await import("../actions/governance.ts")).sign(flags, shell));
      }),
    newDraft(shell, run),
    newServerCommand(
      "propose",
      "Proposes a payload with signatures of it, and prints the number of the proposal. The same " +
        "payload again adds its signatures to the same proposal. Requires a controller.",
      ["descriptor propose --file svc-storage.json --sig a.sig"],
    )
      .requiredOption("--file <file>", "the payload as JSON; - for standard input")
      .option("--sig <file>", "a signature of it; repeatable", collect)
      .action((flags: ProposeFlags) => act((actions) => actions.propose(flags, shell))),
    newServerCommand(
      "add-signature",
      "Adds signatures to a proposal. Requires a controller.",
      ["descriptor add-signature 42 --sig b.sig"],
    )
      .argument("<proposal>", "number of the proposal")
      .requiredOption("--sig <file>", "a signature of its payload; repeatable", collect)
      .action((proposal: string, flags: SignatureFlags) =>
        act((actions) => actions.addSignature(proposal, flags, shell))
      ),
    newServerCommand(
      "apply",
      "Applies a proposal that has the signatures of a quorum, and prints the new global version. " +
        "Requires a controller.",
      ["descriptor apply --proposal 42"],
    )
      .requiredOption("--proposal <number>", "number of the proposal")
      .action((flags: ApplyFlags) => act((actions) => actions.apply(flags, shell))),
    newServerCommand(
      "proposal",
      "Shows a proposal: its payload, who signed it, and what it lacks. Requires a controller.",
      ["descriptor proposal 42"],
    )
      .argument("<proposal>", "number of the proposal")
      .action((proposal: string, flags: ServerOptions) =>
        act((actions) => actions.proposal(proposal, flags, shell))
      ),
    ...readCommands(shell, run),
  ]);
}

/** Creates the commands that read and verify descriptors. */
function readCommands(shell: Shell, run: RunAction): Command[] {
  const act = (use: (actions: DescriptorActions) => Promise<number>) =>
    run(async () => await use(await import("../actions/descriptor.ts")));
  return [
    newServerCommand(
      "get",
      "Shows a descriptor.",
      [
        "descriptor get --id svc-storage@us-east-1",
        "descriptor get --id svc-storage@us-east-1 --version 1",
      ],
    )
      .requiredOption("--id <id>", "id of the descriptor")
      .option("--version <number>", "version of the descriptor (default: the newest)")
      .action((flags: GetFlags) => act((actions) => actions.get(flags, shell))),
    newServerCommand(
      "log",
      "Lists what was applied, the newest last.",
      ["descriptor log", "descriptor log --after 100", "descriptor log --id svc-storage@us-east-1"],
    )
      .option("--after <version>", "lists what was applied after this global version")
      .option("--id <id>", "lists the versions of this descriptor alone")
      .action((flags: LogFlags) => act((actions) => actions.log(flags, shell))),
    newServerCommand(
      "verify",
      "Verifies the newest version of a descriptor, or all of them without --id, by nothing but the " +
        "hash of the genesis: signatures, quorum, chain and proofs. --save keeps what proves it, and " +
        "--offline verifies such a file without a node. The exit code is 4 if something is refused.",
      [
        "descriptor verify --genesis sha256:… --id svc-storage@us-east-1",
        "descriptor verify --genesis sha256:… --id svc-storage@us-east-1 --save svc-storage.bundle",
        "descriptor verify --genesis sha256:… --id svc-storage@us-east-1 --offline svc-storage.bundle",
      ],
    )
      .requiredOption("--genesis <hash>", "the pinned hash of the genesis, sha256:…")
      .option("--id <id>", "id of the descriptor (default: all)")
      .option("--save <file>", "file to which the bundle is written; requires --id")
      .option("--offline <file>", "verifies a saved bundle and asks no node; requires --id")
      .option(
        "--max-age <duration>",
        "accepts a checkpoint of this age, such as 10m or 30d (default: 10m)",
      )
      .action((flags: VerificationFlags) => act((actions) => actions.verify(flags, shell))),
  ];
}

function newDraft(shell: Shell, run: RunAction): Command {
  return newServerCommand(
    "draft",
    "Writes the next version of a descriptor to a file, for signers to read and to sign: schema, " +
      "version and prev_hash follow from the version that is published now.",
    [
      "descriptor draft --file svc-storage.json --out next.json",
      "descriptor draft --file svc-storage.json --supersede DataError --out next.json",
      'descriptor draft --id svc-storage@us-east-1 --deprecate "moved" --out end.json',
    ],
  )
    .option("--file <file>", "the descriptor as JSON, {id, kind, body}; - for standard input")
    .option("--id <id>", "id of the descriptor (default: that of the file)")
    .option("--deprecate <reason>", "ends the descriptor")
    .option("--supersede <reason>", "KeyCompromise, DataError, GovernanceAction or Other")
    .requiredOption("--out <file>", "file of the payload")
    .action(async (flags: DraftFlags) => {
      await run(async () =>
        await (await import("../actions/governance_drafts.ts")).draftDescriptor(flags, shell)
      );
    });
}
