/** The bookkeeping of a listener: limits in total, per address, in progress. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  addressKey,
  ConnectionAdmission,
  isLoopback,
  newListenerStats,
} from "../../../transport/admission.ts";

function make(limits: Partial<ConstructorParameters<typeof ConnectionAdmission>[0]> = {}) {
  const stats = newListenerStats();
  const all = { sessionsMax: 10, sessionsPerAddressMax: 2, handshakesMax: 10, ...limits };
  return { stats, admission: new ConnectionAdmission(all, stats) };
}

test("Admission counts handshakes in progress towards the sessions", () => {
  const { stats, admission } = make({ sessionsMax: 2 });
  assert.ok(admission.mayBegin() && admission.begin("192.0.2.1"));
  assert.ok(admission.mayBegin() && admission.begin("192.0.2.2"));
  assert.not(admission.mayBegin());
  assert.is(stats.refused, 1);
  admission.complete();
  assert.not(admission.mayBegin());
  admission.fail("192.0.2.2");
  assert.ok(admission.mayBegin());
  assert.equal([stats.sessions, stats.handshakes, stats.handshakeFailures], [1, 0, 1]);
});

test("Admission refuses handshakes in progress beyond their limit", () => {
  const { admission } = make({ handshakesMax: 1 });
  assert.ok(admission.mayBegin() && admission.begin("192.0.2.1"));
  assert.not(admission.mayBegin());
  admission.complete();
  assert.ok(admission.mayBegin());
});

test("Admission limits one address, in progress and open together, and forgets it at the end", () => {
  const { stats, admission } = make();
  assert.ok(admission.begin("192.0.2.1"));
  assert.ok(admission.begin("192.0.2.1"));
  assert.not(admission.begin("192.0.2.1"));
  assert.ok(admission.begin("192.0.2.2"));
  assert.is(stats.refused, 1);
  admission.complete();
  admission.end("192.0.2.1");
  assert.ok(admission.begin("192.0.2.1"));
  for (const host of ["192.0.2.1", "192.0.2.1", "192.0.2.2"]) admission.fail(host);
  assert.is(admission.addressCount, 0);
});

test("Admission excepts loopback from the limit of one address", () => {
  const { admission } = make();
  for (const host of ["127.0.0.1", "127.9.9.9", "::1"]) {
    for (let count = 0; count < 3; count++) assert.ok(admission.begin(host), host);
  }
  assert.not(isLoopback("128.0.0.1"));
  assert.not(isLoopback("127.0.0.1.example"));
  assert.not(isLoopback("::2"));
});

test("addressKey takes one IPv6 site together, and IPv4 addresses apart", () => {
  assert.is(addressKey("192.0.2.1"), "192.0.2.1");
  const site = addressKey("2001:db8:1:2:3:4:5:6");
  for (const same of ["2001:db8:1:2::", "2001:0DB8:1:2::ffff", "2001:db8:1:2:9::1%eth0"]) {
    assert.is(addressKey(same), site, same);
  }
  assert.is.not(addressKey("2001:db8:1:3::1"), site);
  assert.is(addressKey("fe80::1"), addressKey("fe80:0:0:0:ffff::2"));
  assert.is(addressKey("::1"), addressKey("::2"));
});

test.run();
