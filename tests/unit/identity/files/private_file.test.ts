/** Key files: complete, private, or refused. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ErrorCode, RegistryError } from "../../../../src/base/errors.ts";
import {
  PRIVATE_FILE_MODE,
  readKeyFile,
  replaceFile,
} from "../../../../identity/files/private_file.ts";
import { inTemporaryFolder } from "../../../support/temporary_folder.ts";

const hasCode = (code: ErrorCode) => (error: unknown) =>
  error instanceof RegistryError && error.code === code;

test("readKeyFile reads what replaceFile wrote privately", () =>
  inTemporaryFolder((folder) => {
    const path = `${folder}/key.pem`;
    assert.is(readKeyFile(path), undefined);
    replaceFile(path, "first", PRIVATE_FILE_MODE);
    replaceFile(path, "second", PRIVATE_FILE_MODE);
    assert.is(readKeyFile(path), "second");
    assert.is(Deno.statSync(path).mode! & 0o777, 0o600);
    assert.equal([...Deno.readDirSync(folder)].map(({ name }) => name), ["key.pem"], "no drafts");
  }));

test("readKeyFile refuses a key that others may open, and leaves its mode as it is", () =>
  inTemporaryFolder((folder) => {
    const path = `${folder}/key.pem`;
    replaceFile(path, "key", PRIVATE_FILE_MODE);
    for (const mode of [0o640, 0o604, 0o644, 0o620, 0o601, 0o777]) {
      Deno.chmodSync(path, mode);
      assert.throws(() => readKeyFile(path), hasCode("invalid_configuration"), mode.toString(8));
      assert.is(Deno.statSync(path).mode! & 0o777, mode);
    }
    for (const mode of [0o600, 0o400]) {
      Deno.chmodSync(path, mode);
      assert.is(readKeyFile(path), "key");
    }
    // The permissions of the file that is read count, not those of the link to it.
    Deno.symlinkSync(path, `${folder}/link.pem`);
    assert.is(readKeyFile(`${folder}/link.pem`), "key");
    Deno.chmodSync(path, 0o644);
    assert.throws(() => readKeyFile(`${folder}/link.pem`), hasCode("invalid_configuration"));
  }));

test("readKeyFile refuses anything but a key file", () =>
  inTemporaryFolder((folder) => {
    const path = `${folder}/key.pem`;
    replaceFile(path, "x".repeat(64 * 1024 + 1), PRIVATE_FILE_MODE);
    assert.throws(() => readKeyFile(path), hasCode("corrupt"));
    Deno.mkdirSync(`${folder}/folder`, { mode: 0o700 });
    assert.throws(() => readKeyFile(`${folder}/folder`), hasCode("corrupt"));
  }));

test.run();
