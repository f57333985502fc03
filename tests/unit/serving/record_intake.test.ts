/** Intake of records: the id of a record, and the fields that a kind without a lease may omit. */
import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { gatewayCodec } from "../../../schemas/gen/record.ts";
import { FrameWriter } from "../../../schemas/runtime/writer.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { RECORD_BYTES_MAX } from "../../../src/base/limits.ts";
import { NO_POSITION } from "../../../src/base/position.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { idOfForeignKey } from "../../../src/record/derived_id.ts";
import { GATEWAY, type GatewayInput } from "../../../src/record/gateway.ts";
import { KIND_MAX } from "../../../src/record/key.ts";
import { toStored } from "../../../src/record/stored_form.ts";
import type { OwnedRecord } from "../../../src/record/kind_row.ts";
import {
  acceptRecord,
  appendRecord,
  SentRecordReader,
} from "../../../src/serving/record_intake.ts";
import { spanOf } from "../../../src/store/reply.ts";

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

const reader = new SentRecordReader();

function sent(fields: Partial<GatewayInput>): OwnedRecord {
  const input = { region: "eu", domain: "g.example", port: 4000, ...fields };
  return decoded(gatewayCodec.encode(toStored(GATEWAY, input, OWNERSHIP)));
}

function decoded(bytes: Uint8Array): OwnedRecord {
  return reader.read(FOREIGN, spanOf(bytes));
}

const keyOf = (...parts: string[]) =>
  idOfForeignKey(parts, (bytes) => createHash("sha256").update(bytes).digest());

test("acceptRecord derives the id of a record that another system names from its key", () => {
  const accepted = acceptRecord(FOREIGN, sent({ ttlMs: 30_000 }), PEER);
  assert.equal(accepted.id, keyOf("eu", "g.example"));
  assert.is(accepted.ttlMs, 0, "it has no lease");
  const out = new FrameWriter({ bytesMax: 1_024 });
  appendRecord(out, accepted, NO_POSITION);
  assert.equal(
    acceptRecord(FOREIGN, decoded(out.written), PEER).id,
    accepted.id,
    "given, and right",
  );
  const other = acceptRecord(FOREIGN, sent({ region: "us" }), PEER);
  assert.not.equal(other.id, accepted.id);
});

test("acceptRecord refuses another id than that of the key", () => {
  try {
    acceptRecord(FOREIGN, sent({ id: ID }), PEER);
    assert.unreachable("must be refused");
  } catch (error) {
    assert.instance(error, RegistryError);
    assert.is((error as RegistryError).code, "invalid_argument");
    assert.is((error as RegistryError).fields.field, "id");
  }
});

test("SentRecordReader refuses a record that is too large, and returns one that shares nothing", () => {
  const bytes = gatewayCodec.encode({ ...gatewayCodec.empty(), id: new Uint8Array(16).fill(7) });
  const record = decoded(bytes);
  bytes.fill(0);
  assert.equal(record.id, new Uint8Array(16).fill(7));
  const large = new Uint8Array(RECORD_BYTES_MAX + 8);
  assert.throws(() => decoded(large), ({ code }: RegistryError) => code === "too_large");
});

test.run();
