/** The effect of the limit of open files on TCP connections. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { connectionsMax, softLimitOf, tlsSessionsMax } from "../../../src/node/descriptor_limit.ts";

const LIMITS = `Limit                     Soft Limit           Hard Limit           Units
Max processes             95846                95846                processes
Max open files            1024                 524288               files
`;

test("softLimitOf reads the limit that holds, and none where it is not told", () => {
  assert.is(softLimitOf(LIMITS), 1_024);
  assert.is(softLimitOf(LIMITS.replace("1024 ", "unlimited ")), undefined);
  assert.is(softLimitOf(""), undefined);
});

test("tlsSessionsMax leaves descriptors for everything else", () => {
  assert.is(tlsSessionsMax(20_000, 1_024), 768);
  assert.is(tlsSessionsMax(100, 1_024), 100);
  assert.is(tlsSessionsMax(100, 128), 0);
  assert.is(tlsSessionsMax(20_000, undefined), 20_000);
});

test("connectionsMax never takes what a node needs itself", () => {
  assert.is(connectionsMax(64, 1_024), 64);
  assert.is(connectionsMax(64, 128), 16);
  assert.is(connectionsMax(64, 32), 4);
  assert.is(connectionsMax(64, undefined), 64);
});

test.run();
