/**
 * Scenarios: the grammar of their files, the tiers, our own cases beside this file, and all shared
 * ones, which must reach tier 3.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { testWith } from "../support/requirement.ts";
import { findScenarios, scenarioFolder } from "./folder.ts";
import { replay } from "./replay.ts";
import { parseDirective, parseStanzas, type Stanza } from "./stanza.ts";
import { tierOf } from "./tiers.ts";

function stanza(command: string, expected: string): Stanza {
  return { command, args: [], line: 1, input: "", expected };
}

test("parseStanzas: comments, input, output up to a blank line", () => {
  const text =
    "# a comment\n\ncmd 1 key=v\ninput line\n\nmore input\n----\nout 1\nout 2\n\nnext\n----\n";
  const [first, second] = parseStanzas(text);
  assert.equal(first, {
    command: "cmd",
    args: [{ key: "1", values: [] }, { key: "key", values: ["v"] }],
    line: 3,
    input: "input line\n\nmore input",
    expected: "out 1\nout 2",
  });
  assert.equal([second!.command, second!.input, second!.expected], ["next", "", ""]);
});

test("parseStanzas: output between doubled separators may hold blank lines", () => {
  const [first, second] = parseStanzas("a\n----\n----\none\n\ntwo\n----\n----\n\nb\n----\nok\n");
  assert.is(first!.expected, "one\n\ntwo");
  assert.is(second!.command, "b");
});

test("parseStanzas: a backslash joins lines, and a stanza without ---- is refused", () => {
  const [joined] = parseStanzas("cmd a \\\n  b=(1,\\\n  2)\n----\nok");
  assert.equal(joined!.args, [{ key: "a", values: [] }, { key: "b", values: ["1", "2"] }]);
  assert.throws(() => parseStanzas("cmd\nno end\n"), /Line 1/);
});

test("parseDirective: values in parentheses may hold spaces, and be none", () => {
  assert.equal(parseDirective("c idx=(13, 100) drop=3 e=() f").args, [
    { key: "idx", values: ["13", "100"] },
    { key: "drop", values: ["3"] },
    { key: "e", values: [] },
    { key: "f", values: [] },
  ]);
});

test("tierOf: what counts at each tier", () => {
  const expected = "> 1 handling Ready\n  Ready MustSync=true:\n  1->2 MsgApp Term:1\n  INFO gone";
  const at = (text: string) => tierOf(stanza("stabilize", expected), text);
  assert.is(at("> 1 handling Ready\n  Ready MustSync=true:\n  1->2 MsgApp Term:1\n"), 3);
  assert.is(at("Ready MustSync=true:\n1->2 MsgApp Term:1"), 2);
  assert.is(at("> 1 handling Ready\n  Ready MustSync=false:\n  1->2 MsgApp Term:1"), 1);
  const logOnly = stanza("campaign", "INFO 1 is starting an election");
  assert.is(tierOf(logOnly, "ok"), 3);
  assert.is(tierOf(logOnly, "raft proposal dropped"), 0);
  assert.is(tierOf(stanza("raft-state", "1: StateLeader"), "1: StateFollower"), 0);
  const switched = stanza("x", "INFO 1 switched to configuration voters=(1)");
  assert.is(tierOf(switched, "ok"), 1);
});

test("replay: a scenario that is not met, or cannot run, reaches less", () => {
  const below = replay("add-nodes 1 voters=(1) index=2\n----\nok\n\nraft-state\n----\nwrong\n");
  assert.is(below.tier, 0);
  assert.is(replay("no-such-command\n----\nunknown command\n").tier, 3);
  assert.is(replay("process-ready 7\n----\nok\n").tier, 0);
  assert.is(replay("").tier, 0);
});

function replayFolder(folder: string, names: readonly string[]): void {
  for (const name of names) {
    const { tier, shortfalls } = replay(Deno.readTextFileSync(`${folder}/${name}`));
    const [first] = shortfalls;
    const why = first && `line ${first.stanza.line}:\n${first.actual}`;
    assert.is(tier, 3, `${name} reached tier ${tier}: ${why}`);
  }
}

test("our own cases reach tier 3", () => {
  const folder = decodeURIComponent(new URL("cases", import.meta.url).pathname);
  replayFolder(folder, findScenarios(folder)!);
});

const sharedFolder = scenarioFolder();
const sharedTest = testWith({
  found: findScenarios(sharedFolder),
  advice: `no scenario files are in ${sharedFolder}; set RAFT_SCENARIOS to their folder`,
});

sharedTest("the shared scenarios reach tier 3", (names) => replayFolder(sharedFolder, names));

test.run();
