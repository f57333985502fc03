/** The command groups `crs governance …` and `crs descriptor …`: signers, and what they sign. */
import type { Command } from "commander";
import type { KeygenFlags, SignFlags } from "../actions/governance.ts";
import type { RunAction, Shell } from "../shell.ts";
import { newCommand, newGroup } from "./options.ts";

/** Creates `crs governance`. */
export function governanceCommand(shell: Shell, run: RunAction): Command {
  return newGroup("governance", "Creates the keys of signers.", [
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
      .action(async (flags: KeygenFlags) => {
        await run(async () =>
          await (await import("../actions/governance.ts")).keygen(flags, shell)
        );
      }),
  ]);
}

/** Creates `crs descriptor`. */
export function descriptorCommand(shell: Shell, run: RunAction): Command {
  return newGroup("descriptor", "Signs descriptors.", [
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
  ]);
}
