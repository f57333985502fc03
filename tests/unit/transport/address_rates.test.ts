/** Rate limits of connections per address. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CONNECTION_RATE_ADDRESSES_MAX } from "../../../src/base/limits.ts";
import { AddressRates } from "../../../transport/address_rates.ts";

/** Returns how many of `count` simultaneous connections are admitted. */
function admitted(rates: AddressRates, host: string, nowMs: number, count = 100): number {
  return Array.from({ length: count }, () => rates.take(host, nowMs)).filter(Boolean).length;
}

test("AddressRates lets a burst in, and then a rate", () => {
  const rates = new AddressRates({ perSecond: 4, burst: 16 });
  assert.is(admitted(rates, "192.0.2.1", 0), 16);
  assert.is(admitted(rates, "192.0.2.1", 1_000), 4);
  assert.is(admitted(rates, "192.0.2.1", 3_600_000), 16);
});

test("AddressRates counts each IPv4 address and each IPv6 /64 by itself", () => {
  const rates = new AddressRates({ perSecond: 1, burst: 2 });
  assert.is(admitted(rates, "192.0.2.1", 0), 2);
  assert.is(admitted(rates, "192.0.2.2", 0), 2);
  assert.is(admitted(rates, "2001:db8::1", 0), 2);
  assert.is(admitted(rates, "2001:db8::ffff:2", 0), 0);
  assert.is(admitted(rates, "2001:db8:0:1::1", 0), 2);
});

test("AddressRates leaves loopback alone", () => {
  const rates = new AddressRates({ perSecond: 1, burst: 1 });
  assert.is(admitted(rates, "127.0.0.1", 0), 100);
  assert.is(admitted(rates, "::1", 0), 100);
  assert.is(rates.addressCount, 0);
});

test("AddressRates forgets the oldest address beyond its limit", () => {
  const rates = new AddressRates({ perSecond: 1, burst: 1 });
  for (let index = 0; index < CONNECTION_RATE_ADDRESSES_MAX + 10; index++) {
    rates.take(`10.0.${index >> 8}.${index & 255}`, 0);
  }
  assert.is(rates.addressCount, CONNECTION_RATE_ADDRESSES_MAX);
  assert.is(rates.take("10.0.31.255", 0), false);
  assert.is(rates.take("10.0.0.0", 0), true);
});

test.run();
