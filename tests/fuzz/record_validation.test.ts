/**
 * Any outside input becomes a canonical record or a coded error that names a field: any text as
 * domain, address or region, any JSON as gateway or agent, any bytes as a stored form.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../src/base/errors.ts";
import { RECORD_BYTES_MAX } from "../../src/base/limits.ts";
import { agentCodec, gatewayCodec } from "../../schemas/gen/record.ts";
import { formatAddress, parseAddress } from "../../src/record/address.ts";
import { canonicalDomain, canonicalDomainBytes } from "../../src/record/domain.ts";
import { agentFromJson, gatewayFromJson } from "../../src/record/vocabulary.ts";
import { AGENT } from "../../src/record/agent.ts";
import { GATEWAY } from "../../src/record/gateway.ts";
import { toStored, validated } from "../../src/record/stored_form.ts";

const OWNERSHIP = { process: 1, sequence: 1 };

/**
 * Returns the value, or the code of the refusal, which must name a field if it is the caller's
 * fault.
 */
function attempt<T>(run: () => T): T | string {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    if (error.code === "invalid_argument") assert.type(error.fields.field, "string");
    assert.ok(error.message.length < 700, "a message does not grow with its input");
    return error.code;
  }
}

test("canonicalDomain is idempotent, lower-case ASCII, and never longer than its limit", () => {
  const label = fc.stringMatching(/^[A-Za-z0-9-]{1,20}$/);
  const domain = fc.oneof(
    fc.string(),
    fc.array(label, { maxLength: 20 }).map((of) => of.join(".")),
  );
  fc.assert(
    fc.property(domain, (text) => {
      const canonical = attempt(() => canonicalDomain(text));
      const bytes = new TextEncoder().encode(text);
      const byBytes = attempt(() => canonicalDomainBytes(bytes, 0, bytes.length));
      if (typeof byBytes === "string") assert.is(byBytes, canonical);
      else {
        const span = byBytes.bytes.subarray(byBytes.start, byBytes.end);
        assert.is(new TextDecoder().decode(span), canonical);
      }
      if (canonical === "invalid_argument") return;
      assert.match(canonical, /^[a-z0-9.-]{1,253}$/);
      assert.is(canonicalDomain(canonical), canonical);
    }),
    { numRuns: 5_000, seed: 11 },
  );
});

test("addresses: text to bytes and back is canonical, any other text is refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      assert.equal(parseAddress(formatAddress(bytes)), bytes);
    }),
    { numRuns: 3_000, seed: 12 },
  );
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const canonical = formatAddress(parseAddress(text));
      assert.is(formatAddress(parseAddress(canonical)), canonical);
    }),
    { numRuns: 3_000, seed: 13 },
  );
  const near = fc.stringMatching(/^[0-9a-f:.]{1,24}$/);
  fc.assert(
    fc.property(fc.oneof(fc.string(), near), (text) => {
      const bytes = attempt(() => parseAddress(text));
      if (bytes !== "invalid_argument") assert.is(bytes.length, 16);
    }),
    { numRuns: 5_000, seed: 14 },
  );
});

const scalar = fc.oneof(fc.constant<unknown>(null), fc.string(), fc.double(), fc.integer());
/** Generates mostly valid values. */
const mostly = (...values: unknown[]) =>
  fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...values) }, { weight: 1, arbitrary: scalar });
const fields = {
  gateway_ip: mostly("1.2.3.4", "2001:db8::1"),
  domain: mostly("a.example", "B.example."),
  port: mostly(4000, 1),
  wss_port: mostly(443, 0),
  capacity: fc.dictionary(mostly("cpu", "memory", "bandwidth").map(String), mostly(1, 0.5, 4096)),
  labels: fc.dictionary(mostly("zone", "a/b", "x").map(String), mostly("b", "").map(String)),
  ttl: mostly(30, 12.5),
  state: mostly("draining", "active"),
  verifiable_cred_hash: mostly("ab12", "0xFF"),
};
const { domain, port, labels, ttl } = fields;
const region = mostly("eu", "us-1");
const json = fc.oneof(
  fc.record({ region, ...fields }, { requiredKeys: ["region"] }),
  fc.record({ region, domain, port, labels, ttl }, { requiredKeys: ["region"] }),
  fc.jsonValue(),
);

test("any JSON is a record that encodes within its limit, or a coded error", () => {
  let accepted = 0;
  fc.assert(
    fc.property(json, (value) => {
      const gateway = attempt(() =>
        validated(GATEWAY, {
          ...toStored(GATEWAY, gatewayFromJson(value), OWNERSHIP),
          id: new Uint8Array(16).fill(1),
        })
      );
      const agent = attempt(() =>
        validated(AGENT, {
          ...toStored(AGENT, agentFromJson(value), OWNERSHIP),
          id: new Uint8Array(16).fill(1),
        })
      );
      if (typeof gateway !== "string") {
        const bytes = gatewayCodec.encode(gateway);
        assert.ok(bytes.length <= RECORD_BYTES_MAX);
        assert.equal(validated(GATEWAY, gatewayCodec.decode(bytes)), gatewayCodec.decode(bytes));
        accepted++;
      }
      if (typeof agent !== "string") {
        const bytes = agentCodec.encode(agent);
        assert.ok(bytes.length <= RECORD_BYTES_MAX);
        assert.equal(agentCodec.decode(bytes), agent);
        accepted++;
      }
    }),
    { numRuns: 5_000, seed: 15 },
  );
  assert.ok(accepted > 1_000, `${accepted} must be accepted, else nothing was tested`);
});

test("a mutated stored form is a valid record or a coded error", () => {
  const seed = gatewayCodec.encode({
    ...gatewayCodec.empty(),
    id: new Uint8Array(16).fill(1),
    process: 1,
    port: 1,
    region: "eu",
    domain: "g.example",
    extra: {
      credentialHash: new Uint8Array(32).fill(2),
      labels: [{ key: "a", value: "b" }],
      superseded: [],
    },
  });
  const mutation = fc.record({ at: fc.nat(seed.length - 1), to: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(mutation, { maxLength: 4 }), (mutations) => {
      const bytes = seed.slice();
      for (const { at, to } of mutations) bytes[at] = to;
      const gateway = attempt(() => validated(GATEWAY, gatewayCodec.decode(bytes)));
      if (typeof gateway !== "string") {
        assert.ok(gatewayCodec.encode(gateway).length <= RECORD_BYTES_MAX);
      }
    }),
    { numRuns: 10_000, seed: 16 },
  );
});

test.run();
