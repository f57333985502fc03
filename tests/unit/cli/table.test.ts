/** Tables for people. */
import { cpuUsage } from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { facts, fitted, printable, table } from "../../../src/cli/table.ts";

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

test("table cuts the widest of the columns that may be cut, and no other", () => {
  const rows = [["x".repeat(20), "y".repeat(12), "北京".repeat(8)]];
  const [, row] = table(["A", "B", "C"], rows, { columns: 46, shrinks: [0, 2] }).split("\n");
  assert.is(row, `${"x".repeat(14)}…  ${"y".repeat(12)}  ${"北京".repeat(3)}北…`);
  const [, least] = table(["A", "B", "C"], rows, { columns: 1, shrinks: [0, 2] }).split("\n");
  assert.is(least, `xxxxxxx…  ${"y".repeat(12)}  北京北…`);
});

test("fitted cuts only what may be cut, and beyond that puts cells one below the other", () => {
  const head = ["node", "address", "links"];
  const rows = [[1, "192.0.2.1:4433", "2: 0.3 ms, 3: 0.4 ms"], [2, "192.0.2.2:4433", "1: none"]];
  const lines = (columns: number) => fitted(head, rows, { columns, shrinks: [2] }).split("\n");
  assert.is(lines(Infinity)[1], "     1  192.0.2.1:4433  2: 0.3 ms, 3: 0.4 ms");
  assert.is(lines(40)[1], "     1  192.0.2.1:4433  2: 0.3 ms, 3: 0…");
  assert.equal(lines(31).slice(0, 5), [
    "  node     1",
    "  address  192.0.2.1:4433",
    "  links    2: 0.3 ms, 3: 0.4 ms",
    "",
    "  node     2",
  ]);
});

test("table takes time linear in its rows", () => {
  const row = ["93fec554-3756-5eb2-b890-56a0bac8eab3", "a1.example", "10.0.0.1:4000", "active", 5];
  const timeOf = (count: number) => {
    const rows = Array.from({ length: count }, () => row);
    // The processor's time, which does not count while another process uses the core.
    const start = cpuUsage();
    table(["A", "B", "C", "D", "E"], rows);
    const { user, system } = cpuUsage(start);
    return (user + system) / 1_000;
  };
  timeOf(1_000);
  // The minimum of several runs, because some of them collect garbage.
  const leastOf = (count: number) => Math.min(...Array.from({ length: 5 }, () => timeOf(count)));
  const [small, large] = [leastOf(1_000), leastOf(8_000)];
  assert.ok(large < 8 * small * 4 + 20, `1,000 rows: ${small} ms; 8,000 rows: ${large} ms`);
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
