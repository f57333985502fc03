/** A partition's apply version is state; what only a later program knows stops the replica. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { commandCodec } from "../../../schemas/gen/command.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { encodeRaisePartitionVersion, encodeTick } from "../../../src/record/command.ts";
import { PARTITION_APPLY_VERSION } from "../../../src/store/apply_version.ts";
import { PartitionStore } from "../../../src/store/store.ts";
import { APPLY_VERSION_MAX } from "../../../src/system/versions/features.ts";
import { finished, imageOf, newShared } from "../../support/store.ts";

const HEADER = { timeMs: 5, unixS: 6, writer: 0 };

/** Returns a store whose program knows apply versions up to `applyVersionMax`, and its log. */
function storeOf(applyVersionMax: number) {
  const store = new PartitionStore({ shared: newShared(), applyVersionMax });
  const apply = (data: Uint8Array) =>
    store.apply({ index: store.appliedIndex + 1, term: 1, data }).code;
  return { store, apply, raise: (to: number) => apply(encodeRaisePartitionVersion(HEADER, to)) };
}

const isLater = (error: Error) =>
  error instanceof RegistryError && error.code === "unsupported_version";

test("PartitionStore stops at a kind of command that it does not know, and does not skip it", () => {
  for (const kind of [16, 20, 31]) {
    const { apply } = storeOf(1);
    assert.throws(() => apply(commandCodec.encode({ ...HEADER, kind })), isLater, `kind ${kind}`);
  }
});

test("PartitionStore refuses kinds that will never be a partition's, alike on every replica", () => {
  const { apply } = storeOf(1);
  for (const kind of [0, 32, 40, 60_000]) {
    assert.is(apply(commandCodec.encode({ ...HEADER, kind })), "malformed", `kind ${kind}`);
  }
  assert.is(apply(new Uint8Array(3)), "malformed", "no command at all");
});

test("PartitionStore raises its apply version, once for each, and never lowers it", () => {
  const { store, raise } = storeOf(3);
  assert.is(store.applyVersion, 1);
  assert.is(raise(1), "incarnation_mismatch");
  assert.is(raise(3), "ok");
  assert.is(raise(3), "incarnation_mismatch");
  assert.is(raise(2), "incarnation_mismatch");
  assert.is(store.applyVersion, 3);
});

test("PartitionStore stops at an apply version that it does not know", () => {
  const { store, raise } = storeOf(2);
  assert.throws(() => raise(3), isLater);
  assert.is(store.applyVersion, 1);
});

test("an image has the apply version; that of the first is as it always was", () => {
  const first = storeOf(2);
  assert.is(first.apply(encodeTick(HEADER)), "ok");
  const before = imageOf(first.store);
  assert.is(new DataView(before.buffer, before.byteOffset).getUint32(4, true), 0);
  assert.is(first.raise(2), "ok");
  const image = imageOf(first.store);

  const loaded = storeOf(2).store;
  loaded.loadImage([image]);
  assert.is(loaded.applyVersion, 2);
  assert.equal(imageOf(loaded), image);
  const replaced = storeOf(2).store;
  finished(replaced.readImage(image)).install();
  assert.is(replaced.applyVersion, 2);
  finished(replaced.readImage(before)).install();
  assert.is(replaced.applyVersion, 1);
});

test("an image of a later apply version is refused, and changes nothing", () => {
  const later = storeOf(2);
  later.raise(2);
  const { store } = storeOf(1);
  assert.throws(() => finished(store.readImage(imageOf(later.store))), isLater);
  assert.throws(() => storeOf(1).store.loadImage([imageOf(later.store)]), isLater);
  assert.is(store.applyVersion, 1);
});

test("PARTITION_APPLY_VERSION is one that members of this program state", () => {
  assert.ok(PARTITION_APPLY_VERSION <= APPLY_VERSION_MAX);
});

test.run();
