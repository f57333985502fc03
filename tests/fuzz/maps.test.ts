/**
 * The Maps service with requests of all sorts, before a real registry: each is answered, with what it asked
 * for or with an error of the protocol; and none is a fault of the service.
 */
import { createHash } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { LogFacts } from "../../src/base/logger.ts";
import { SILENT_LOGGER } from "../../src/base/logger.ts";
import { sha256 } from "../../identity/pki/sha256.ts";
import { mapsIdOf } from "../../src/client/maps_ids.ts";
import { idOfForeignKey } from "../../src/record/derived_id.ts";
import { capacityRank } from "../../src/record/maps/maps_gateway.ts";
import { Maps } from "../../schemas/proto/gen/maps/maps_pb.ts";
import { MapsFace, type MapsMethod, type MapsRequest } from "../support/maps.ts";

const RUNS = 200;
const METHODS = Object.keys(Maps.method) as MapsMethod[];

/** Text that is valid now and then, and otherwise anything that UTF-8 can carry. */
const text = (...valid: string[]) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...valid) },
    { weight: 1, arbitrary: fc.constant("") },
    { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 40 }) },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 200, max: 5_000 }).map((length) => "a".repeat(length)),
    },
  );
const int32 = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 70_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }) },
);
const region = text("eu", "global", "us-1");
const credential = text("c1", "c2");
const domain = text("a1.example", "A1.EXAMPLE", "b1.example");
const REQUESTS = {
  registerGateway: fc.record({
    region,
    gatewayIp: text("192.0.2.1", "192.0.2.2", "2001:db8::1"),
    gatewayPort: fc.oneof(fc.constant(8_443), int32),
    wssPort: fc.oneof(fc.constant(0), int32),
    capacity: fc.option(
      fc.record({ cpu: int32, memory: int32, storage: int32, bandwidth: int32 }),
      { nil: undefined },
    ),
    verifiableCredHash: credential,
  }),
  registerAgent: fc.record({
    agentDomain: domain,
    verifiableCredHash: credential,
    gatewayId: text(mapsIdOf("c1", "192.0.2.1"), mapsIdOf("c2", "192.0.2.2")),
    region,
  }),
  resolveGatewayForAgent: fc.record({ region }),
  resolveGatewayForProxy: fc.record({ agentDomain: domain, region, proxyId: text("p1") }),
} satisfies { [Name in MapsMethod]: fc.Arbitrary<MapsRequest<Name>> };

const call = fc.constantFrom(...METHODS).chain((name) =>
  (REQUESTS[name] as fc.Arbitrary<object>).map((request) => ({ name, request }))
);

/** The holders of two registered names, as the protocol tells them. */
class Holders {
  readonly #agents = new Map<string, string>();

  /** Checks an answer about a domain against what was registered. */
  seen(name: MapsMethod, request: Record<string, unknown>, answer: Record<string, unknown>): void {
    const key = String(request.agentDomain).toLowerCase();
    if (name === "registerAgent" && answer.error === undefined) {
      const held = this.#agents.get(key);
      assert.ok(held === undefined || held === request.verifiableCredHash, `${key} changed hands`);
      this.#agents.set(key, request.verifiableCredHash as string);
    }
    if (name === "resolveGatewayForProxy" && answer.error === undefined) {
      assert.is(answer.Identity, this.#agents.get(key));
    }
  }
}

test("any fields get an answer, an error of the protocol, or what was registered", async () => {
  const face = await MapsFace.open();
  const faults: LogFacts[] = [];
  const logger = {
    ...SILENT_LOGGER,
    error: (_: string, facts: LogFacts = {}) => faults.push(facts),
  };
  const holders = new Holders();
  await fc.assert(
    fc.asyncProperty(call, async ({ name, request }) => {
      const answer = await face.call(name, request as MapsRequest<typeof name>, { logger });
      const { error } = answer;
      if (error !== undefined) {
        assert.ok(error.code >= 1 && error.code <= 6 && error.code !== 5, JSON.stringify(error));
        assert.ok(error.message !== "" && error.message.length < 1_000, error.message);
      }
      holders.seen(
        name,
        request as Record<string, unknown>,
        answer as unknown as Record<string, unknown>,
      );
    }),
    { numRuns: RUNS, seed: 16 },
  );
  assert.equal(faults, []);
});

test("any bytes are a request or none, and what they hold is answered", async () => {
  const face = await MapsFace.open();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...METHODS),
      fc.uint8Array({ maxLength: 64 }),
      async (name, bytes) => {
        let request;
        try {
          request = fromBinary(Maps.method[name].input, bytes);
        } catch (error) {
          assert.instance(error, Error);
          return;
        }
        const { error } = await face.call(name, request as MapsRequest<typeof name>);
        assert.ok(error !== undefined && error.code !== 5, JSON.stringify(error));
      },
    ),
    { numRuns: RUNS, seed: 17 },
  );
});

test("an id is the hash that clients compute, and no two keys have one record id", () => {
  const name = fc.string({ unit: "binary", maxLength: 64 });
  fc.assert(fc.property(name, name, (hash, address) => {
    const expected = createHash("sha256").update(`${hash}|${address}`).digest("hex");
    assert.is(mapsIdOf(hash, address), expected);
  }));
  const parts = fc.array(name, { minLength: 1, maxLength: 3 });
  fc.assert(fc.property(parts, parts, (left, right) => {
    const [one, other] = [left, right].map((key) => idOfForeignKey(key, sha256).join());
    // Lone surrogates all become the same replacement character.
    const same = JSON.stringify(left.map(wellFormed)) === JSON.stringify(right.map(wellFormed));
    assert.is(one === other, same);
  }));
});

test("capacityRank: more of one dimension and no less of another ranks higher, in any unit", () => {
  const amount = fc.integer({ min: 0, max: 0x7fff_ffff });
  const capacity = fc.record({ cpu: amount, memory: amount, storage: amount, bandwidth: amount });
  const dimension = fc.constantFrom("cpu" as const, "memory" as const, "storage" as const);
  fc.assert(fc.property(capacity, dimension, amount, (one, name, more) => {
    const other = { ...one, [name]: Math.min(0x7fff_ffff, one[name] + more) };
    assert.ok(capacityRank(other) >= capacityRank(one));
    assert.ok(Number.isFinite(capacityRank(one)));
  }));
});

function wellFormed(text: string): string {
  return text.toWellFormed();
}

test.run();
