/** Apply version and generation: raised by the log if all members support it, and never lowered. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { firstTermOf } from "../../../../src/base/ids.ts";
import {
  APPLY_FEATURES,
  APPLY_VERSION_MAX,
  FIRST_APPLY_VERSION,
} from "../../../../src/system/versions/features.ts";
import {
  encodeRaiseApplyVersion,
  encodeRaiseGeneration,
} from "../../../../src/system/versions/version_state.ts";
import { HEADER, SystemHarness } from "../../../support/system_harness.ts";

test("VersionState raises the apply version when every member supports it", () => {
  const harness = new SystemHarness();
  const raise = (version: number) => harness.apply(encodeRaiseApplyVersion(HEADER, version));
  assert.is(raise(2), "invalid_argument", "no member said so");
  harness.admit(1);
  harness.put(2);
  assert.is(raise(2), "invalid_argument", "one did not say so");
  harness.admit(2, 2);
  assert.is(raise(2), "ok");
  assert.is(raise(2), "incarnation_mismatch");
  harness.put(3);
  harness.reload();
  assert.is(harness.state.versions.applyVersion, 2, "also beside a member that came later");
});

test("APPLY_FEATURES names each apply version after the first, once", () => {
  const versions = APPLY_FEATURES.map(({ applyVersion }) => applyVersion);
  assert.equal(versions, versions.map((_, at) => FIRST_APPLY_VERSION + 1 + at));
  assert.is(APPLY_VERSION_MAX, versions.at(-1));
  assert.is(new Set(APPLY_FEATURES.map(({ name }) => name)).size, versions.length);
});

test("VersionState: a version that this program does not know stops the replica", () => {
  const harness = new SystemHarness();
  const later = APPLY_VERSION_MAX + 1;
  harness.admit(1, 0, later);
  const raise = () => harness.apply(encodeRaiseApplyVersion(HEADER, later));
  assert.throws(
    raise,
    (error: Error) => error instanceof RegistryError && error.code === "unsupported_version",
  );
});

test("VersionState records the generation of the log's terms, and refuses a lower one", () => {
  const harness = new SystemHarness();
  const raise = (generation: number, termOf = generation) =>
    harness.apply(encodeRaiseGeneration(HEADER, generation), firstTermOf(termOf));
  assert.is(harness.state.versions.generation, 2, "that of the genesis");
  assert.is(raise(2), "incarnation_mismatch");
  assert.is(raise(5), "ok");
  assert.is(raise(4), "incarnation_mismatch");
  harness.reload();
  assert.is(harness.state.versions.generation, 5);
  assert.is(harness.store.ringMap(0)!.epoch.generation, 5);
});

test("VersionState: the generation of a running cluster is not raised", () => {
  const harness = new SystemHarness();
  const term = firstTermOf(2) + 7;
  for (const generation of [1, 3, 5]) {
    const raise = encodeRaiseGeneration(HEADER, generation);
    assert.is(harness.apply(raise, term), "invalid_argument", `to ${generation}`);
  }
  assert.is(harness.state.versions.generation, 2);
});

test.run();
