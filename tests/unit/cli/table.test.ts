/** Tables for people. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { facts, printable, table } from "../../../src/cli/table.ts";

test("table has columns two spaces apart, numbers to the right, no trailing spaces", () => {
  assert.is(
    table(["ID", "COUNT"], [["a", 5], ["long", 1_000]]),
    "ID    COUNT\na         5\nlong   1000\n",
  );
});

test("table takes text of numbers as numbers where it is told so", () => {
  assert.is(table(["OP", "N"], [["a", "5"], ["b", ""]], { numbersFrom: 1 }), "OP  N\na   5\nb\n");
});

test("table has only its head where there are no rows", () => {
  assert.is(table(["ID", "COUNT"], []), "ID  COUNT\n");
});

test("facts are indented lines", () => {
  assert.is(facts([["id", "x"], ["longer", 5]]), "  id      x\n  longer  5\n");
});

test("printable makes visible what would command a terminal or forge a line", () => {
  assert.is(printable("a\x1b[2Jb\nc\u202ed"), "a\\u001b[2Jb\\u000ac\\u202ed");
  assert.ok(!table(["L"], [["x\ny"]]).includes("x\ny"));
  assert.is(printable("grün 北京"), "grün 北京");
});

test.run();
