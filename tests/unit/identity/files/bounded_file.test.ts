/** Files named by others: regular, bounded, with or without a byte-order mark. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readBoundedFile, UnfitFile } from "../../../../identity/files/bounded_file.ts";
import type { RegistryError } from "../../../../src/base/errors.ts";
import { trustOfCaFile } from "../../../../identity/trust/credentials.ts";
import { readKeyFile } from "../../../../identity/files/private_file.ts";
import { CliFailure } from "../../../../src/cli/failure.ts";
import { processTerminal } from "../../../../src/cli/terminal.ts";
import { loadConfig } from "../../../../src/node/config_file.ts";
import { inTemporaryFolder } from "../../../support/temporary_folder.ts";

/** Returns the error that `run` throws. */
function thrown(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("It must throw");
}

test("readBoundedFile takes a file up to its bound, and not a byte more", () =>
  inTemporaryFolder((folder) => {
    const path = `${folder}/file`;
    Deno.writeTextFileSync(path, "x".repeat(100));
    assert.is(readBoundedFile(path, 100), "x".repeat(100));
    const error = thrown(() => readBoundedFile(path, 99));
    assert.ok(error instanceof UnfitFile && error.message.includes("more than 99 bytes"));
    Deno.writeTextFileSync(path, "");
    assert.is(readBoundedFile(path, 100), "");
    // A file whose size the system reports as 0.
    assert.ok(readBoundedFile("/proc/self/status", 65_536).length > 0);
  }));

test("anything but a regular file is refused at once, by every function that reads a file", () =>
  inTemporaryFolder((folder) => {
    assert.is(new Deno.Command("mkfifo", { args: [`${folder}/pipe`] }).outputSync().code, 0);
    for (const path of ["/dev/zero", "/dev/full", folder, `${folder}/pipe`]) {
      const error = thrown(() => readBoundedFile(path, 100));
      assert.ok(error instanceof UnfitFile, path);
      const mistake = thrown(() => loadConfig({ flags: { config: path }, environment: {} }));
      assert.is((mistake as RegistryError).code, "invalid_configuration");
      const refusal = thrown(() => processTerminal().readText(path));
      assert.ok(refusal instanceof CliFailure && refusal.code === "invalid_argument");
      for (const read of [trustOfCaFile, readKeyFile]) {
        assert.is((thrown(() => read(path)) as RegistryError).code, "corrupt");
      }
    }
  }));

test("a byte-order mark is dropped, in a file of settings as in one of a record", () =>
  inTemporaryFolder((folder) => {
    const path = `${folder}/file.json`;
    Deno.writeTextFileSync(path, '\ufeff{"region": "eu-1"}');
    assert.is(processTerminal().readText(path), '{"region": "eu-1"}');
    assert.is(loadConfig({ flags: { config: path }, environment: {} }).region, "eu-1");
  }));

test.run();
