/** Records that name their owner: relays, and placements of agents at them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  type Placement,
  placementCodec,
  type Relay,
  relayCodec,
} from "../../../schemas/gen/record.ts";
import { NO_POSITION } from "../../../src/base/position.ts";
import { encodePut, encodeRaisePartitionVersion } from "../../../src/record/command.ts";
import { KIND_PLACEMENT, KIND_RELAY } from "../../../src/record/key.ts";
import { NAMED_OWNERS_APPLY_VERSION } from "../../../src/record/kind_row.ts";
import { idOf, imageOf, StoreHarness } from "../../support/store.ts";

const OWN = { process: 11, sequence: 1, ttlMs: 30_000, region: "global", scope: 1 };

function withHash(byte: number): Relay["extra"] {
  return { credentialHash: Uint8Array.of(byte), labels: [], superseded: [] };
}

/** A store of the version that has such records. */
class NamedHarness extends StoreHarness {
  constructor() {
    super();
    const code = this.apply(encodeRaisePartitionVersion(this.header, NAMED_OWNERS_APPLY_VERSION));
    assert.is(code.code, "ok");
  }

  relay(fields: Partial<Relay> = {}) {
    const record = relayCodec.encode({
      ...relayCodec.empty(),
      ...{ id: idOf(1), owner: idOf(70), relayId: "r1", address: "a", ...OWN },
      ...fields,
    });
    return this.apply(
      encodePut(this.header, { record, kind: KIND_RELAY, expected: NO_POSITION }),
    );
  }

  place(fields: Partial<Placement> = {}) {
    const record = placementCodec.encode({
      ...placementCodec.empty(),
      ...{ id: idOf(9), owner: idOf(70), agentId: "a1", relayId: "r1", relay: idOf(1), ...OWN },
      ...{ relayIncarnation: { generation: 1, index: 5 } },
      ...fields,
    });
    return this.apply(
      encodePut(this.header, { record, kind: KIND_PLACEMENT, expected: NO_POSITION }),
    );
  }

  placement(): Placement {
    return this.store.recordView(this.slotOf(KIND_PLACEMENT, 9)).toPlain() as Placement;
  }
}

test("a partition stores records that name their owner from its apply version on", () => {
  const harness = new StoreHarness();
  const record = relayCodec.encode({ ...relayCodec.empty(), ...OWN, id: idOf(1) });
  const command = encodePut(harness.header, { record, kind: KIND_RELAY, expected: NO_POSITION });
  assert.is(harness.apply(command).code, "invalid_argument");
  assert.is(harness.slotOf(KIND_RELAY, 1), -1);
});

test("the owner updates its record from any process, and the incarnation stays", () => {
  const harness = new NamedHarness();
  const first = harness.relay();
  const again = harness.relay({ process: 12, address: "b" });
  assert.equal([again.code, again.created], ["ok", false]);
  assert.equal(again.incarnation, first.incarnation);
  const delayed = harness.relay({ process: 11, sequence: 2, address: "a" });
  assert.is(delayed.code, "superseded", "a registration that came late undoes no later one");
  const slot = harness.slotOf(KIND_RELAY, 1);
  assert.is((harness.store.recordView(slot).toPlain() as Relay).address, "b");
});

test("another owner, credential or name is refused while the record lives, and not afterwards", () => {
  const harness = new NamedHarness();
  const { incarnation } = harness.relay({ extra: withHash(1) });
  const image = imageOf(harness.store).subarray(24);
  assert.is(harness.relay({ process: 12, owner: idOf(71), extra: withHash(1) }).code, REFUSED);
  assert.is(harness.relay({ process: 12, extra: withHash(2) }).code, REFUSED);
  assert.is(harness.relay({ process: 12 }).code, REFUSED, "no credential is another one");
  assert.is(harness.relay({ process: 12, relayId: "r2", extra: withHash(1) }).code, REFUSED);
  assert.equal(imageOf(harness.store).subarray(24), image, "nothing changed");
  assert.is(harness.remove(KIND_RELAY, 1, incarnation).code, "ok");
  assert.is(harness.relay({ process: 12, owner: idOf(71) }).code, "ok");
});

test("another relay takes an agent over in one command, and a delayed registration is refused", () => {
  const harness = new NamedHarness();
  const first = harness.place();
  const taken = harness.place({ process: 12, owner: idOf(71), relayId: "r2", relay: idOf(2) });
  assert.equal([taken.code, taken.created], ["ok", true]);
  assert.equal(harness.placement().relayId, "r2");
  assert.ok(taken.incarnation.index > first.incarnation.index);
  assert.is(harness.place({ sequence: 2 }).code, "superseded");
  assert.is(harness.placement().relayId, "r2");
  assert.is(harness.place({ process: 13 }).code, "ok", "a new registration takes it back");
  assert.is(harness.placement().relayId, "r1");
});

test("of one relay a later incarnation takes over, and an earlier one is refused", () => {
  const harness = new NamedHarness();
  const placed = harness.place();
  const again = harness.place({ process: 12 });
  assert.equal([again.created, again.incarnation], [false, placed.incarnation]);
  const later = { relayIncarnation: { generation: 1, index: 6 } };
  assert.is(harness.place({ process: 13, ...later }).created, true);
  assert.is(harness.place({ process: 14 }).code, "superseded");
  assert.equal(harness.placement().relayIncarnation, later.relayIncarnation);
});

test("an image has the records that name their owner", () => {
  const harness = new NamedHarness();
  harness.relay({ extra: withHash(1) });
  harness.place();
  const twin = new StoreHarness();
  twin.store.loadImage([imageOf(harness.store)]);
  assert.equal(imageOf(twin.store), imageOf(harness.store));
});

const REFUSED = "permission_denied";

test.run();
