/** Code blocks of a page: found with their lines, and no placeholder is run unreplaced. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { codeBlocks, commandOf, fillPlaceholders } from "../../support/markdown_blocks.ts";

test("codeBlocks returns each block with its language and first line", () => {
  const page = "text\n```sh\na\n\nb\n```\nmore `x` text\n```\npicture\n```\n";
  assert.equal(codeBlocks(page), [
    { language: "sh", lines: ["a", "", "b"], firstLine: 3 },
    { language: "", lines: ["picture"], firstLine: 9 },
  ]);
  assert.throws(() => codeBlocks("```sh\na\n"), /line 1 is not closed/);
});

test("commandOf drops a comment and keeps # inside a word", () => {
  assert.is(commandOf("crs status   # how it is"), "crs status");
  assert.is(commandOf("# alone"), "");
  assert.is(commandOf("crs get a#b"), "crs get a#b");
});

test("fillPlaceholders refuses a placeholder without a value, and an ellipsis", () => {
  const values = new Map([["id", "7"], ["host:port", "h:1"]]);
  assert.is(fillPlaceholders("get <id> at <host:port>", values), "get 7 at h:1");
  assert.throws(() => fillPlaceholders("get <name>", values), /value for <name>/);
  assert.throws(() => fillPlaceholders("get …", values), /cannot know/);
});

test.run();
