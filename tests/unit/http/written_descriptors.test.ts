/** The descriptors that a front keeps as they are answered. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WrittenDescriptors } from "../../../src/http/governed/written_descriptors.ts";
import { GovernanceHarness } from "../../support/governance.ts";

test("WrittenDescriptors keeps the newest version until there is a newer one", () => {
  const harness = new GovernanceHarness();
  const { log } = harness.plane;
  harness.decide(harness.next({ id: "svc@eu" }));
  const written = new WrittenDescriptors();
  const first = log.headOf("svc@eu")!;
  const one = written.of(first, log);
  assert.is(written.of(first, log), one);
  assert.is(one.etag, '"1-published"');
  harness.decide(harness.next({ id: "svc@eu" }));
  const old = written.of(first, log);
  assert.is(old.etag, '"1-replaced"');
  assert.match(old.text.text, /"state":"replaced"/);
  const two = written.of(log.headOf("svc@eu")!, log);
  assert.is(two.etag, '"2-published"');
  assert.is(written.of(log.headOf("svc@eu")!, log), two);
  assert.is(written.bytes, two.text.byteLength);
});

test("WrittenDescriptors keeps no more bytes than its limit, the last ones", () => {
  const harness = new GovernanceHarness();
  const { log } = harness.plane;
  const ids = ["a@eu", "b@eu", "c@eu"];
  for (const id of ids) harness.decide(harness.next({ id }));
  const sizes = ids.map((id) => new WrittenDescriptors().of(log.headOf(id)!, log).text.byteLength);
  const written = new WrittenDescriptors(3, sizes[1]! + sizes[2]!);
  const [a, , c] = ids.map((id) => written.of(log.headOf(id)!, log));
  assert.is(written.bytes, sizes[1]! + sizes[2]!);
  assert.is(written.of(log.headOf("c@eu")!, log), c);
  assert.is.not(written.of(log.headOf("a@eu")!, log), a);
});

test("WrittenDescriptors keeps no more descriptors than its limit, and none if that is 0", () => {
  const harness = new GovernanceHarness();
  const { log } = harness.plane;
  for (const id of ["a@eu", "b@eu", "c@eu"]) harness.decide(harness.next({ id }));
  const heads = [...log.ids].map((id) => log.headOf(id)!);
  const two = new WrittenDescriptors(2);
  const [a, , c] = heads.map((head) => two.of(head, log));
  assert.is(two.count, 2);
  assert.is(two.of(heads[2]!, log), c);
  assert.is.not(two.of(heads[0]!, log), a);
  const none = new WrittenDescriptors(0);
  for (const head of heads) assert.is(none.of(head, log).text.text, two.of(head, log).text.text);
  assert.equal([none.count, none.bytes], [0, 0]);
});

test.run();
