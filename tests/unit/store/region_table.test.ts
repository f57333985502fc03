/** RegionTable: numbers are assigned, freed by the last record, and never shared by two regions. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { REGIONS_INTERNED_MAX } from "../../../src/base/limits.ts";
import { domainBytes, KIND_AGENT, KIND_GATEWAY } from "../../../src/record/key.ts";
import { RegionTable } from "../../../src/store/region_table.ts";

/** Adds a record to the region and returns the region's number. */
function come(table: RegionTable, name: string, kind: 1 | 2 = KIND_AGENT): number {
  const bytes = domainBytes(name);
  const number = table.intern(bytes, 0, bytes.length);
  table.add(kind, number, 1);
  return number;
}

function find(table: RegionTable, name: string): number {
  const bytes = domainBytes(name);
  return table.find(bytes, 0, bytes.length);
}

test("RegionTable gives a number out again once its region's last record is gone", () => {
  const table = new RegionTable();
  for (let region = 0; region < REGIONS_INTERNED_MAX; region++) {
    assert.ok(table.hasRoom);
    come(table, `r${region}`);
  }
  come(table, "r9", KIND_GATEWAY);
  assert.not(table.hasRoom);
  assert.is(come(table, "late"), 0, "all are in use");
  assert.not(table.complete);
  const number = find(table, "r9");
  table.add(KIND_AGENT, number, -1);
  assert.not(table.hasRoom, "its gateway is there");
  table.add(KIND_GATEWAY, number, -1);
  assert.ok(table.hasRoom);
  assert.is(find(table, "r9"), number, "until somebody needs it");
  assert.is(come(table, "new"), number);
  assert.is(find(table, "r9"), 0);
  assert.is(find(table, "new"), number);
  assert.not(table.hasRoom);
});

test("RegionTable keeps a region's number while it has records, whatever comes and goes", () => {
  const entropy = new SeededEntropy(11);
  const table = new RegionTable();
  const records = new Map<string, { number: number; count: number }>();
  // More regions than numbers, most of which have no records at any time.
  for (let step = 0; step < 60_000; step++) {
    const name = `region-${Math.floor(entropy.unit() * 3 * REGIONS_INTERNED_MAX)}`;
    const known = records.get(name);
    if (known !== undefined && entropy.unit() < 0.6) {
      table.add(KIND_AGENT, known.number, -1);
      if (--known.count === 0) records.delete(name);
      continue;
    }
    if (known === undefined && records.size === REGIONS_INTERNED_MAX) continue;
    const number = come(table, name);
    if (known === undefined) records.set(name, { number, count: 1 });
    else known.count++;
    assert.is(number, records.get(name)!.number, name);
    assert.is(number === 0, false);
  }
  const numbers = new Set(Array.from(records.values(), ({ number }) => number));
  assert.is(numbers.size, records.size, "no number stands for two regions");
  for (const [name, { number }] of records) assert.is(find(table, name), number);
  const counts = new Map(
    table.counts().filter(({ kind }) => kind === "agent").map((
      { region, count },
    ) => [region, count]),
  );
  assert.equal(counts, new Map(Array.from(records, ([name, { count }]) => [name, count])));
});

test.run();
