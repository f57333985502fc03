/** The ways to give a token: by argument, file, standard input or variable, one at a time. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CliFailure } from "../../../src/cli/failure.ts";
import { tokenGiven, tokenNeeded, USE_TOKEN_VARIABLE } from "../../../src/cli/token_text.ts";
import { FakeTerminal } from "../../support/fake_terminal.ts";

const terminal = new FakeTerminal({
  environment: { [USE_TOKEN_VARIABLE]: "by-variable" },
  files: {
    "token.txt": "  by-file\n",
    "-": "by-input",
    "empty.txt": "\n",
    "two.txt": "first second\n",
  },
});

function given(text?: string, file?: string, from = terminal): string | undefined {
  const flag = "--use-token";
  return tokenGiven({ noun: "token", flag, variable: USE_TOKEN_VARIABLE, text, file }, from);
}

test("tokenGiven takes argument, file and standard input before the variable", () => {
  assert.is(given("by-argument"), "by-argument");
  assert.is(given(undefined, "token.txt"), "by-file");
  assert.is(given(undefined, "-"), "by-input");
  assert.is(given(), "by-variable");
  assert.is(given(undefined, undefined, new FakeTerminal()), undefined);
  const empty = new FakeTerminal({ environment: { [USE_TOKEN_VARIABLE]: "" } });
  assert.is(given(undefined, undefined, empty), undefined);
});

test("tokenGiven refuses two at once and what is no token, without showing it", () => {
  const cases: [string | undefined, string | undefined, string][] = [
    ["one", "token.txt", "--use-token and --use-token-file"],
    [undefined, "empty.txt", "found nothing"],
    [undefined, "two.txt", "--use-token-file two.txt"],
    [undefined, "missing.txt", "Cannot read missing.txt"],
    ["", undefined, "found nothing"],
  ];
  for (const [text, file, words] of cases) {
    try {
      given(text, file);
      assert.unreachable(words);
    } catch (error) {
      assert.ok(error instanceof CliFailure && error.code === "invalid_argument");
      assert.ok(error.message.includes(words), error.message);
      assert.not(error.message.includes("second"), "what a file holds may be another secret");
    }
  }
});

test("tokenNeeded takes an argument, of which - is standard input, and names no flag for it", () => {
  const needed = (text?: string, file?: string, from = terminal) => {
    const flag = "--token";
    return tokenNeeded({ noun: "token", flag, variable: USE_TOKEN_VARIABLE, text, file }, from);
  };
  assert.is(needed("by-argument"), "by-argument");
  assert.is(needed("-"), "by-input");
  assert.is(needed(undefined, "token.txt"), "by-file");
  assert.is(needed(), "by-variable");
  const refused: [() => string, string][] = [
    [() => needed("-", "token.txt"), "found both the argument and --token-file"],
    [() => needed("one two"), "the argument must contain one token"],
    [() => needed(undefined, undefined, new FakeTerminal()), "A token is needed: found none"],
  ];
  for (const [take, words] of refused) {
    assert.throws(take, (error: unknown) => {
      return error instanceof CliFailure && error.message.includes(words);
    });
  }
});

test.run();
