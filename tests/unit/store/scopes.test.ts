/** Scopes of records: a field that a partition takes only from the apply version on that knows it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SCOPES_APPLY_VERSION } from "../../../src/store/apply_version.ts";
import { agentBytes, imageOf, newShared, StoreHarness } from "../../support/store.ts";
import { PartitionStore } from "../../../src/store/store.ts";

test("PartitionStore refuses a scope until the apply version rose, alike on every replica", () => {
  const harness = new StoreHarness();
  assert.is(harness.putAgent({ scope: 0 }).code, "ok");
  for (const version of [1, SCOPES_APPLY_VERSION - 1]) {
    if (version > 1) harness.raise(version);
    const { code, field } = harness.putAgent({ scope: 1, sequence: 2 });
    assert.equal({ code, field }, { code: "invalid_argument", field: "scope" });
  }
  harness.raise(SCOPES_APPLY_VERSION);
  assert.is(harness.putAgent({ scope: 1, sequence: 2 }).code, "ok");
  assert.is(harness.putGateway({ scope: 1, number: 2 }).code, "ok");
  assert.is(harness.putGateway({ scope: 2, number: 3 }).field, "scope");
  assert.is(harness.agent(1)?.scope, 1);
});

test("a scope outlives reports and images, and changes by a register", () => {
  const harness = new StoreHarness();
  harness.raise(SCOPES_APPLY_VERSION);
  const { incarnation } = harness.putGateway({ scope: 1 });
  harness.report(1, incarnation, { state: 1 });
  assert.equal([harness.gateway(1)?.scope, harness.gateway(1)?.state], [1, 1]);
  const twin = new PartitionStore({ shared: newShared() });
  twin.loadImage([harness.image()]);
  assert.equal(imageOf(twin), harness.image());
  harness.putGateway({ scope: 0, sequence: 2 });
  assert.is(harness.gateway(1)?.scope, 0);
});

test("a scope takes no bytes, and a record of global scope has those of programs without scopes", () => {
  const state = agentBytes({ state: 1 });
  const scoped = agentBytes({ state: 1, scope: 1 });
  assert.is(scoped.length, state.length);
  // Their state was a UInt16 in these two bytes.
  const at = 8 + 118;
  assert.is(new DataView(state.buffer, state.byteOffset).getUint16(at, true), 1);
  assert.is(new DataView(scoped.buffer, scoped.byteOffset).getUint16(at, true), 0x0101);
});

test.run();
