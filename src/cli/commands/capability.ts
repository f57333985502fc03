/** The command group `crs identity capability …`: credentials that their holders can narrow. */
import type { Command } from "commander";
import { CAPABILITY_SCOPES } from "../../base/capability.ts";
import type {
  AttenuateFlags,
  MintCapabilityFlags,
  VerifyCapabilityFlags,
} from "../actions/capability.ts";
import type { CommonOptions, RunAction, Shell } from "../shell.ts";
import { collect, newCommand, newGroup, newServerCommand } from "./options.ts";

type Capabilities = typeof import("../actions/capability.ts");

/** Creates `crs identity capability`. */
export function capabilityCommand(shell: Shell, run: RunAction): Command {
  const act = (use: (actions: Capabilities) => Promise<number>) =>
    run(async () => await use(await import("../actions/capability.ts")));
  return newGroup("capability", "Mints, narrows and verifies capabilities, which HTTP takes.", [
    addCaveatOptions(newServerCommand(
      "mint",
      "Mints a capability: whoever holds it has its scopes until it ends or is banned. Requires a " +
        "controller.",
      [
        "identity capability mint --scope registry:propose --scope registry:apply --ttl 10m",
        "identity capability mint --scope registry:read --id-prefix svc- --address 10.0.0.0/8",
      ],
    ))
      .option("--ttl <duration>", "lifetime, at most 30d", "10m")
      .action((flags: MintCapabilityFlags) => act((actions) => actions.mint(flags, shell))),
    addCaveatOptions(addCapability(newCommand(
      "attenuate",
      "Prints a capability with further caveats, which only narrow it. Needs no node.",
      [
        "identity capability attenuate --capability-file - --scope registry:propose --ttl 1m < capability",
        "identity capability attenuate --capability-file capability --path /v1/registry/proposals",
      ],
    )))
      .option("--ttl <duration>", "time from now on after which it ends")
      .action((text: string | undefined, flags: AttenuateFlags & FileFlag) =>
        act((actions) => actions.attenuate(givenBy(text, flags), flags, shell))
      ),
    addCapability(newCommand(
      "inspect",
      "Shows the id and the caveats of a capability, without verifying it. Needs no node.",
      ["identity capability inspect --capability-file capability"],
    )).action((text: string | undefined, flags: CommonOptions & FileFlag) =>
      act((actions) => actions.inspect(givenBy(text, flags), flags, shell))
    ),
    addCapability(newServerCommand(
      "verify",
      "Has a node verify a capability: signature, expiry and bans.",
      [
        "identity capability verify --capability-file capability",
        "identity capability verify --capability-file - --method GET --path /v1/registry/version " +
        "--address 127.0.0.1 < capability",
      ],
    ))
      .option("--method <name>", "method of a request to check the capability against")
      .option("--path <path>", "path of that request")
      .option("--address <ip>", "address of its caller")
      .action((text: string | undefined, flags: VerifyCapabilityFlags & FileFlag) =>
        act((actions) => actions.verify(givenBy(text, flags), flags, shell))
      ),
  ]);
}

/** The flag of {@link addCapability}. */
interface FileFlag {
  readonly capabilityFile?: string;
}

/** Adds what names a capability. */
function addCapability(command: Command): Command {
  return command
    .argument(
      "[capability]",
      "the capability itself, which other users of this machine can see (env: CRS_CAPABILITY)",
    )
    .option("--capability-file <path>", "file that contains the capability; - for standard input");
}

function givenBy(text: string | undefined, { capabilityFile }: FileFlag) {
  return { text, file: capabilityFile };
}

/** Adds the options that name caveats. */
function addCaveatOptions(command: Command): Command {
  return command
    .option("--scope <name>", `${CAPABILITY_SCOPES.join(", ")}; repeatable`, collect)
    .option("--operation <name>", "operation that is permitted; repeatable", collect)
    .option("--id-prefix <text>", "beginning of permitted ids; repeatable", collect)
    .option("--path <path>", "permitted path, with all below it; repeatable", collect)
    .option("--method <name>", "permitted method of HTTP; repeatable", collect)
    .option("--address <network>", "permitted network of callers; repeatable", collect);
}
