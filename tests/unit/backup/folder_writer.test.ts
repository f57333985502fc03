/** A folder that is written is complete, or recognized by the next attempt as unfinished. */
import fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FolderWriter } from "../../../src/backup/folder_writer.ts";
import { toRegistryError } from "../../../src/base/errors.ts";
import { LOCK_FILE } from "../../../src/wal/segment.ts";
import { inTemporaryFolder } from "../../support/temporary_folder.ts";

test("FolderWriter: a folder is recognized as unfinished until it has its name", () =>
  inTemporaryFolder((temporary) => {
    const folder = `${temporary}/wanted`;
    const writer = FolderWriter.begin(folder);
    writer.create("file").finish();
    // The folder cannot get its name, as if the process had died before.
    fs.mkdirSync(folder);
    fs.writeFileSync(`${folder}/other`, "");
    try {
      writer.finish();
      assert.unreachable();
    } catch (error) {
      assert.is(toRegistryError(error).code, "storage_unavailable");
    }
    assert.ok(fs.existsSync(`${writer.path}/${LOCK_FILE}`));
    writer.discard();

    fs.rmSync(folder, { recursive: true });
    const next = FolderWriter.begin(folder);
    next.create("file").finish();
    next.finish();
    assert.equal(fs.readdirSync(folder), ["file"]);
  }));

test.run();
