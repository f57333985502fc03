/** Listings: what a list of the source is evidence of, and what it is not. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NO_POSITION } from "../../../src/base/position.ts";
import { KIND_AGENT } from "../../../src/record/key.ts";
import { Listings } from "../../../src/region/listings.ts";
import { Partitioner } from "../../../src/ring/partition.ts";
import { at } from "../../support/mirrors.ts";
import { idOf } from "../../support/store.ts";

const FEED = 3;
const LISTED = { generation: 1, index: 50, ordinal: 0 };
const partitioner = new Partitioner(new Uint8Array(16).fill(1), 4);
const partitionOf = (number: number) =>
  partitioner.partitionOf(KIND_AGENT, idOf(number), 0, 16) as number;
const seen = (number: number, index: number, feed = FEED) => ({
  ...{ kind: KIND_AGENT, id: idOf(number), feed, revision: at(index) },
});
const alias = (number: number, claim: number, index = 10) => ({
  ...{ domain: "a.example", agentId: idOf(number), claim: at(claim) },
  ...{ feed: FEED, revision: at(index) },
});

/** Begins a listing of the partition of record 1. */
function begun(): Listings {
  const listings = new Listings(partitioner, FEED);
  listings.begin(partitionOf(1));
  return listings;
}

function completed(listings: Listings): Listings {
  const partition = partitionOf(1);
  listings.complete(listings.of(partition)!, LISTED, 9);
  return listings;
}

test("a list sweeps nothing before it is complete, however short it is", () => {
  const listings = begun();
  assert.is(listings.sweepOf(seen(1, 10)), undefined);
  assert.is(listings.sweepOfAlias(alias(1, 5)), undefined);
  assert.not(listings.areComplete);
  completed(listings);
  assert.ok(listings.areComplete);
  const sweep = listings.sweepOf(seen(1, 10))!;
  assert.equal([sweep.source, sweep.seq, sweep.change.list], [partitionOf(1), 9, "sweeps"]);
  assert.equal(sweep.change.item, { ...seen(1, 10), listed: at(50) });
});

test("a list says nothing about other partitions, later changes, or records that it has", () => {
  const listings = begun();
  const other = [2, 3, 4, 5, 6, 7].find((number) => partitionOf(number) !== partitionOf(1))!;
  listings.mark(partitionOf(1), KIND_AGENT, idOf(1), NO_POSITION);
  completed(listings);
  assert.is(listings.sweepOf(seen(1, 10)), undefined, "it has it");
  assert.is(listings.sweepOf(seen(other, 10)), undefined, "it is of another partition");
  listings.unmark(partitionOf(1), KIND_AGENT, idOf(1));
  assert.ok(listings.sweepOf(seen(1, 50)));
  assert.is(listings.sweepOf(seen(1, 51)), undefined, "it changed since");
  assert.ok(listings.sweepOf(seen(1, 51, FEED - 1)), "of an earlier feed");
  assert.is(listings.sweepOf(seen(1, 10, FEED + 1)), undefined, "of a later feed");
});

test("an alias is swept unless its agent was listed with that claim by this feed", () => {
  const listings = begun();
  listings.mark(partitionOf(1), KIND_AGENT, idOf(1), at(7));
  completed(listings);
  assert.is(listings.sweepOfAlias(alias(1, 7)), undefined);
  assert.ok(listings.sweepOfAlias(alias(1, 6)));
  assert.ok(listings.sweepOfAlias({ ...alias(1, 7), feed: FEED - 1 }));
});

test("the end of a list that began anew meanwhile completes nothing", () => {
  const listings = begun();
  const partition = partitionOf(1);
  const first = listings.of(partition)!;
  listings.begin(partition);
  listings.complete(first, LISTED, 9);
  assert.not(listings.areComplete);
  listings.end([partition]);
  assert.equal(listings.partitions, [partition]);
  completed(listings).end([partition]);
  assert.ok(listings.isEmpty);
});

test.run();
