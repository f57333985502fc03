/** Intake of records: the id of a record, and the fields that a kind without a lease may omit. */
import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { gatewayCodec } from "../../../schemas/gen/record.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { idOfForeignKey } from "../../../src/record/derived_id.ts";
import { GATEWAY, type GatewayInput } from "../../../src/record/gateway.ts";
import { KIND_MAX } from "../../../src/record/key.ts";
import { toStored } from "../../../src/record/stored_form.ts";
import { acceptRecord, encodeRecord } from "../../../src/serving/record_intake.ts";

const OWNERSHIP = { process: 7, sequence: 1 };
const PEER = developmentPeer({ region: "eu", revoked: new AbortController().signal });
const ID = "6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11";

/**
 * A kind whose records another system identifies, by region and domain, and which do not expire.
 */
const FOREIGN = {
  ...GATEWAY,
  number: KIND_MAX,
  name: "foreign",
  hasLease: false,
  sharedFields: GATEWAY.sharedFields.filter(({ name }) => name !== "ttlMs"),
  foreignKey: ({ region, domain }: { region: string; domain: string }) => [region, domain],
};

function storedOf(fields: Partial<GatewayInput>): Uint8Array {
  const input = { region: "eu", domain: "g.example", port: 4000, ...fields };
  return gatewayCodec.encode(toStored(GATEWAY, input, OWNERSHIP));
}

const keyOf = (...parts: string[]) =>
  idOfForeignKey(parts, (bytes) => createHash("sha256").update(bytes).digest());

test("acceptRecord derives the id of a record that another system names from its key", () => {
  const accepted = acceptRecord(FOREIGN, storedOf({ ttlMs: 30_000 }), PEER);
  assert.equal(accepted.id, keyOf("eu", "g.example"));
  assert.is(accepted.ttlMs, 0, "it has no lease");
  const again = encodeRecord(accepted, { generation: 0, index: 0 });
  assert.equal(acceptRecord(FOREIGN, again, PEER).id, accepted.id, "given, and right");
  const other = acceptRecord(FOREIGN, storedOf({ region: "us" }), PEER);
  assert.not.equal(other.id, accepted.id);
});

test("acceptRecord refuses another id than that of the key", () => {
  try {
    acceptRecord(FOREIGN, storedOf({ id: ID }), PEER);
    assert.unreachable("must be refused");
  } catch (error) {
    assert.instance(error, RegistryError);
    assert.is((error as RegistryError).code, "invalid_argument");
    assert.is((error as RegistryError).fields.field, "id");
  }
});

test.run();
