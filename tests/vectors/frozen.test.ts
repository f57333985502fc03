/**
 * Our own frozen tokens and sealed labels: data written by the first version is read and judged as
 * it was then, on Deno and on Node. The files are never regenerated to make a test pass.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fileURLToPath } from "node:url";
import { runOnNode } from "../support/on_node.ts";
import { NODE, testWith } from "../support/requirement.ts";
import { tokenWorld } from "../support/tokens.ts";
import {
  type FrozenLabels,
  type FrozenTokens,
  labelVerdicts,
  readFrozen,
  tokenVerdicts,
} from "./frozen_verdicts.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));
const tokens: FrozenTokens = readFrozen(folder, "tokens.json");
const labels: FrozenLabels = readFrozen(folder, "sealed_labels.json");
const { value } = labels;
const LABEL_VERDICTS = [
  ...[value, "not_a_recipient", "not_a_recipient"],
  ...[value, value, "not_a_recipient"],
];

test("checkToken judges each frozen token as the first version did", () => {
  const verdicts = tokenVerdicts(tokens);
  tokens.tokens.forEach(({ name, verdict }, index) => assert.is(verdicts[index], verdict, name));
  assert.is(verdicts.filter((verdict) => verdict === "accepted").length, 1);
  assert.ok(verdicts.length > 60);
});

test("mintToken writes the frozen token, byte for byte", async () => {
  assert.is(await (await tokenWorld()).mint(), tokens.tokens[0]?.token);
});

test("openLabel opens the frozen labels for their recipients alone", async () => {
  assert.equal(await labelVerdicts(labels), LABEL_VERDICTS);
});

testWith(NODE)("Node gives the same verdicts as Deno", async () => {
  const entry = new URL("./frozen_verdicts.ts", import.meta.url);
  const printed = await runOnNode(entry, { FROZEN: folder });
  const wanted = [...tokens.tokens.map(({ verdict }) => verdict), ...LABEL_VERDICTS];
  assert.equal(printed.split("\n"), wanted);
});

test.run();
