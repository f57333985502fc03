/**
 * The store compared with its simple model under random commands; replaying the same log, and
 * loading an image in the middle, give the same state; any bytes give a reply.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../src/base/errors.ts";
import { NO_POSITION, type Position } from "../../src/base/position.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../src/record/key.ts";
import { PartitionStore } from "../../src/store/store.ts";
import { cases } from "../support/cases.ts";
import { imageOf, newShared, StoreHarness } from "../support/store.ts";
import { type ModelCode, type ModelRecord, StoreModel } from "../support/store_model.ts";

const DOMAINS = ["a.example", "b.example"];

/** A random step; its references are resolved in the model when it is run. */
interface Step {
  op: string;
  agent: boolean;
  number: number;
  process: number;
  sequence: number;
  ttlMs: number;
  /** The incarnation, cover or claim that is named: the current one, none, or another. */
  names: "current" | "none" | "other";
  domain: number;
  waitMs: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  op: fc.constantFrom(
    "put",
    "put",
    "put",
    "extend",
    "remove",
    "expire",
    "report",
    "claim",
    "confirm",
    "revoke",
    "release",
    "tick",
  ),
  agent: fc.constantFrom(true, true, true, false),
  number: fc.integer({ min: 1, max: 2 }),
  process: fc.integer({ min: 1, max: 6 }),
  sequence: fc.integer({ min: 1, max: 3 }),
  ttlMs: fc.constantFrom(5_000, 30_000, 600_000),
  names: fc.constantFrom("current", "current", "current", "current", "none", "other"),
  domain: fc.constantFrom(-1, -1, -1, 0, 1),
  waitMs: fc.constantFrom(0, 0, 0, 1, 1_000, 100_000, 300_000, 599_999, 600_000),
});

function named(step: Step, current: Position): Position {
  if (step.names === "none") return NO_POSITION;
  return step.names === "current" ? current : { ...current, index: current.index + 1 };
}

/** Runs one step in both implementations. */
function take(harness: StoreHarness, model: StoreModel, step: Step): [string, ModelCode] {
  const { number, process, sequence, ttlMs } = step;
  const kind = step.agent ? KIND_AGENT : KIND_GATEWAY;
  const key = `${kind}/${number}`;
  harness.timeMs += step.waitMs;
  model.begin(harness.timeMs);
  const incarnation = named(step, model.incarnationOf(key));
  const domain = DOMAINS[step.domain] ?? "";
  const claim = named(step, model.aliases.get(domain)?.claim ?? NO_POSITION);
  switch (step.op) {
    case "put": {
      const port = model.index % 60_000;
      const put = { process, sequence, port, ttlMs };
      const holds = step.agent ? { domain, claim: domain === "" ? NO_POSITION : claim } : {};
      const reply = step.agent
        ? harness.putAgent({ number, ...put, ...holds }, incarnation)
        : harness.putGateway({ number, ...put }, incarnation);
      const expected = incarnation;
      return [
        reply.code,
        model.put({ key, ...put, expected, domain: "", claim: NO_POSITION, ...holds }),
      ];
    }
    case "extend": {
      harness.extend(kind, number, incarnation, sequence * 40);
      return ["ok", model.extend(key, incarnation, harness.timeMs - sequence * 10_000)];
    }
    case "remove": {
      const reply = harness.remove(kind, number, incarnation, { process, sequence });
      return [reply.code, model.remove(key, incarnation, process, sequence)];
    }
    case "expire": {
      const coverMs = (model.records.get(key)?.coverMs ?? 0) + (step.names === "other" ? 1 : 0);
      const current = model.incarnationOf(key);
      harness.expire(kind, number, current, coverMs);
      return ["ok", model.expire(key, current, coverMs)];
    }
    case "report": {
      const reply = harness.report(number, incarnation, { kind, state: sequence % 2 });
      return [reply.code, model.report(key, incarnation, sequence % 2)];
    }
    case "claim":
      return domain === ""
        ? [harness.claim(domain, number).code, "invalid_argument"]
        : [harness.claim(domain, number, claim).code, model.claim(domain, number, claim)];
    case "confirm":
      return [harness.confirm(domain, number, claim).code, model.confirm(domain, number, claim)];
    case "revoke":
      return [harness.revoke(number, claim).code, model.revoke(number, claim)];
    case "release":
      return [harness.release(domain, claim).code, model.release(domain, claim)];
    default:
      return [harness.tick(harness.timeMs).code, "ok"];
  }
}

function compareStates(harness: StoreHarness, model: StoreModel): void {
  const found = new Map<string, ModelRecord>();
  for (let number = 1; number <= 2; number++) {
    for (const kind of [KIND_AGENT, KIND_GATEWAY]) {
      const record = kind === KIND_AGENT ? harness.agent(number) : harness.gateway(number);
      if (record === undefined) continue;
      found.set(`${kind}/${number}`, {
        process: record.process,
        sequence: record.sequence,
        port: record.port,
        ttlMs: record.ttlMs,
        state: record.state,
        coverMs: record.leaseExpiryMs,
        incarnation: record.incarnation,
        revision: record.revision,
        claim: "claim" in record ? record.claim : NO_POSITION,
        domain: record.domain,
        superseded: record.extra?.superseded ?? [],
      });
    }
  }
  const byKey = (left: [string, unknown], right: [string, unknown]) => left[0] < right[0] ? -1 : 1;
  assert.equal([...found].sort(byKey), [...model.records].sort(byKey));
  for (const domain of DOMAINS) {
    const alias = harness.alias(domain);
    const expected = model.aliases.get(domain);
    assert.equal(alias?.claim, expected?.claim);
    assert.is(alias?.state === 1, expected?.confirmed ?? false);
  }
  const statistics = harness.shared.statistics();
  assert.is(statistics.records.reduce((sum, count) => sum + count), model.records.size);
  assert.is(statistics.tombstones, model.tombstones.size);
  assert.is(statistics.revocations, model.revoked.size);
  assert.is(statistics.aliases, model.aliases.size);
}

function replay(log: StoreHarness["log"], from: PartitionStore, after = 0): PartitionStore {
  for (const entry of log) if (entry.index > after) from.apply(entry);
  return from;
}

function emptyStore(): PartitionStore {
  return new PartitionStore({ shared: newShared() });
}

test("store answers and holds what its model does, for any commands", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 30, maxLength: 80, size: "max" }), (steps) => {
      const harness = new StoreHarness();
      const model = new StoreModel(1);
      harness.store.onBecomeLeader(0);
      for (const each of steps) {
        const [found, expected] = take(harness, model, each);
        assert.is(found, expected, JSON.stringify(each));
        compareStates(harness, model);
      }
    }),
    { numRuns: cases(400), seed: 1 },
  );
});

test("store: the same log gives the same bytes, by replay and across an image at any entry", () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 20, maxLength: 80, size: "max" }),
      fc.nat(),
      (steps, at) => {
        const harness = new StoreHarness();
        const model = new StoreModel(1);
        const cut = at % steps.length;
        let middle: Uint8Array = new Uint8Array(0);
        steps.forEach((each, index) => {
          if (index === cut) middle = harness.image();
          take(harness, model, each);
        });
        const image = harness.image();
        assert.equal(imageOf(replay(harness.log, emptyStore())), image);
        const loaded = emptyStore();
        const half = middle.length >> 1;
        loaded.loadImage([middle.subarray(0, half), middle.subarray(half)]);
        assert.is(loaded.appliedIndex, cut);
        assert.equal(imageOf(loaded), middle);
        assert.equal(imageOf(replay(harness.log, loaded, cut)), image);
        harness.store.release();
        assert.is(harness.shared.statistics().recordBytes, 0);
      },
    ),
    { numRuns: cases(200), seed: 2 },
  );
});

test("apply gives a reply for any bytes, and stops only at what a later program logged", () => {
  const harness = new StoreHarness();
  // Takes everything first, so that what stops a replica does not reach the one that is compared.
  const probe = emptyStore();
  const apply = (data: Uint8Array) => {
    try {
      probe.apply({ index: probe.appliedIndex + 1, term: 1, data });
    } catch (error) {
      assert.is(error instanceof RegistryError && error.code, "unsupported_version");
      return;
    }
    assert.type(harness.apply(data).code, "string");
  };
  harness.putAgent({ number: 1, domain: "a.example", claim: { generation: 1, index: 1 } });
  harness.claim("a.example", 1);
  harness.extend(KIND_AGENT, 1, { generation: 1, index: 1 });
  harness.expire(KIND_AGENT, 2, NO_POSITION, 0);
  harness.revoke(2, { generation: 1, index: 9 });
  harness.report(1, NO_POSITION, { state: 1 });
  harness.remove(KIND_GATEWAY, 1, NO_POSITION);
  const seeds = harness.log.map((entry) => entry.data);
  const mutation = fc.record({ at: fc.nat(4_096), to: fc.nat(255) });
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.array(mutation, { maxLength: 6 }),
      fc.nat(64),
      (seed, mutations, cut) => {
        const data = seed.slice(0, seed.length - cut * 8 > 0 ? seed.length - (cut % 3) * 8 : 8);
        for (const { at, to } of mutations) data[at % data.length] = to;
        apply(data);
      },
    ),
    { numRuns: cases(20_000), seed: 3 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), apply),
    { numRuns: cases(2_000), seed: 4 },
  );
  // A surviving state is valid: it can be listed, imaged, and loaded again.
  const loaded = emptyStore();
  loaded.loadImage(harness.store.writeImage());
  assert.equal(imageOf(loaded), harness.image());
  assert.equal(imageOf(replay(harness.log, emptyStore())), harness.image());
});

test.run();
