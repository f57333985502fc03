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
  const written = new WrittenDescriptors(sizes[1]! + sizes[2]!);
  const [a, , c] = ids.map((id) => written.of(log.headOf(id)!, log));
  assert.is(written.bytes, sizes[1]! + sizes[2]!);
  assert.is(written.of(log.headOf("c@eu")!, log), c);
  assert.is.not(written.of(log.headOf("a@eu")!, log), a);
});

test.run();
