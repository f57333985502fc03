/**
 * Places that idle holders give up: the oldest first, starting with those of the requester's own
 * address.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { AddressSlots } from "../../../src/base/address_slots.ts";

class Holder {
  busy = false;
  evicted = 0;
  isIdle = () => !this.busy;
  evict = () => void this.evicted++;
}

function evictedOf(holders: readonly Holder[]): number[] {
  return holders.map(({ evicted }) => evicted);
}

test("AddressSlots evicts the oldest idle holder of an address that has all it may have", () => {
  const slots = new AddressSlots({ max: 10, perAddressMax: 2 });
  const [other, first, second, third] = [new Holder(), new Holder(), new Holder(), new Holder()];
  slots.take("b", other);
  slots.take("a", first);
  slots.take("a", second);
  first.busy = true;
  assert.ok(slots.take("a", third));
  assert.equal(evictedOf([other, first, second, third]), [0, 0, 1, 0]);
  assert.equal([slots.count, slots.evicted], [3, 1]);
});

test("AddressSlots evicts the oldest idle holder of all where no place is left", () => {
  const slots = new AddressSlots({ max: 3, perAddressMax: 2 });
  const holders = ["a", "a", "b"].map((address) => {
    const holder = new Holder();
    slots.take(address, holder);
    return holder;
  });
  const late = new Holder();
  assert.ok(slots.take("c", late));
  assert.equal(evictedOf(holders), [1, 0, 0]);
});

test("AddressSlots refuses where all that could give way are busy", () => {
  const slots = new AddressSlots({ max: 4, perAddressMax: 1 });
  const busy = new Holder();
  busy.busy = true;
  const slot = slots.take("a", busy);
  assert.is(slots.take("a", new Holder()), undefined);
  assert.ok(slots.take("b", new Holder()), "Another address has places of its own");
  slot?.release();
  slot?.release();
  assert.ok(slots.take("a", new Holder()));
  assert.is(busy.evicted, 0);
});

test("AddressSlots evicts a busy holder where it is told to, an idle one before it", () => {
  const slots = new AddressSlots({ max: 2, perAddressMax: 2, evictsBusy: true });
  const [busy, idle, third, fourth] = [new Holder(), new Holder(), new Holder(), new Holder()];
  busy.busy = third.busy = true;
  for (const holder of [busy, idle, third, fourth]) slots.take(undefined, holder);
  assert.equal(evictedOf([busy, idle, third, fourth]), [1, 1, 0, 0]);
});

test.run();
