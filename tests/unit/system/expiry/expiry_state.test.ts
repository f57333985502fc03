/** Permits of group 0: each is given once, from a budget that starts empty with each leader. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  EXPIRY_ACTIONS,
  type PermitDemand,
  type PermitGrant,
} from "../../../../schemas/gen/wire.ts";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import { EXPIRY_BUDGET_MS, EXPIRY_RELEASE_MS } from "../../../../src/base/limits.ts";
import { STALE_APPLY_VERSION } from "../../../../src/record/kind_row.ts";
import {
  encodeDrawPermits,
  encodeSteerExpiry,
} from "../../../../src/system/expiry/expiry_codec.ts";
import { encodeRaiseApplyVersion } from "../../../../src/system/versions/version_state.ts";
import { HEADER, SystemHarness } from "../../../support/system_harness.ts";

const NO_DEMAND: PermitDemand = {
  region: "eu",
  live: 1_000,
  silent: 0,
  lapsed: 0,
  stale: 0,
  confirmed: 0,
  released: 0,
  fleet: 1_000,
};
/** A tenth of 1,000 records, and at least 50. */
const PER_MINUTE = 100;
const SETTINGS = { sharePermille: 100, floor: 50 };

interface DrawOptions {
  readonly atMs: number;
  readonly term?: number;
  readonly nodeId?: number;
  readonly ledFromMs?: number;
  readonly draw?: number;
}

/** Group 0 of two nodes, whose leader leads from time 0 on. */
class Permits {
  readonly harness = new SystemHarness();
  #draws = 0;

  constructor(version = STALE_APPLY_VERSION) {
    for (const node of [1, 2]) this.harness.admit(node, 0, STALE_APPLY_VERSION);
    assert.is(this.harness.apply(encodeRaiseApplyVersion(HEADER, version)), "ok");
  }

  draw(demands: readonly Partial<PermitDemand>[], options: DrawOptions): readonly PermitGrant[] {
    const { atMs, term = 1, nodeId = 1, ledFromMs = 0, draw = ++this.#draws } = options;
    const items = demands.map((demand) => ({ ...NO_DEMAND, ...demand }));
    const body = { draw, nodeId, ledFromMs, ...SETTINGS, items };
    const command = encodeDrawPermits({ ...HEADER, timeMs: atMs }, body);
    assert.is(this.harness.apply(command, term), "ok");
    return this.harness.state.expiry.grantsOf(nodeId, draw)!;
  }

  one(demand: Partial<PermitDemand>, options: DrawOptions): PermitGrant {
    return this.draw([demand], options)[0]!;
  }

  steer(action: keyof typeof EXPIRY_ACTIONS, region: string, forMs: number, atMs: number): void {
    const body = { action: EXPIRY_ACTIONS[action], region, forMs, detail: "an operator" };
    assert.is(this.harness.apply(encodeSteerExpiry({ ...HEADER, timeMs: atMs }, body)), "ok");
  }
}

test("a budget fills by the minute, holds a minute's permits, and each permit is another number", () => {
  const permits = new Permits();
  assert.is(permits.one({ lapsed: 7, silent: 7 }, { atMs: 0 }).count, 0, "it starts empty");
  assert.is(permits.one({ lapsed: 90, silent: 90 }, { atMs: EXPIRY_BUDGET_MS / 2 }).count, 50);
  const full = permits.one({ lapsed: 100, silent: 100 }, { atMs: 10 * EXPIRY_BUDGET_MS });
  assert.equal(full, { first: 51, count: 100, isMass: false, isHeld: false, isReleased: false });
  assert.is(permits.one({ lapsed: 1, silent: 1 }, { atMs: 10 * EXPIRY_BUDGET_MS }).count, 0);
  const other = permits.one({ region: "us", lapsed: 1, silent: 1 }, { atMs: 600_001 });
  assert.equal([other.first, other.count], [151, 1], "another region has its own budget");
});

test("the floor is for small regions", () => {
  const permits = new Permits();
  const small = { live: 60, fleet: 60, silent: 50, lapsed: 50 };
  assert.is(permits.one(small, { atMs: EXPIRY_BUDGET_MS }).count, 50);
  const isMass = { ...small, silent: 51, lapsed: 51 };
  assert.equal(permits.one(isMass, { atMs: 2 * EXPIRY_BUDGET_MS }).isMass, true);
});

test("while too many are silent, only confirmed losses get permits", () => {
  const permits = new Permits();
  const mass = { silent: PER_MINUTE + 1, lapsed: 5, stale: 5 };
  const none = permits.one(mass, { atMs: EXPIRY_BUDGET_MS });
  assert.equal([none.count, none.isMass], [0, true]);
  const some = permits.one({ ...mass, confirmed: 7 }, { atMs: EXPIRY_BUDGET_MS });
  assert.equal([some.count, some.isMass], [7, true]);
  assert.is(permits.one({ silent: 10, lapsed: 5, stale: 5 }, { atMs: EXPIRY_BUDGET_MS }).count, 10);
});

test("a leader of group 0 starts with no permits, however many elections there are", () => {
  const permits = new Permits();
  const demand = { lapsed: PER_MINUTE, silent: PER_MINUTE };
  assert.is(permits.one({ lapsed: 1, silent: 1 }, { atMs: EXPIRY_BUDGET_MS }).count, 1);
  const after = { term: 2, ledFromMs: EXPIRY_BUDGET_MS + 500 };
  assert.is(permits.one(demand, { atMs: EXPIRY_BUDGET_MS + 500, ...after }).count, 0);
  // It fills from the beginning of the leadership on, not from the first draw.
  const later = { term: 3, ledFromMs: EXPIRY_BUDGET_MS + 1_000 };
  assert.is(permits.one(demand, { atMs: 1.5 * EXPIRY_BUDGET_MS + 1_000, ...later }).count, 50);
  let count = 0;
  for (let term = 4; term < 64; term++) {
    const ledFromMs = (term - 2) * EXPIRY_BUDGET_MS / 2;
    count += permits.one(demand, { atMs: ledFromMs + 6_000, term, ledFromMs }).count;
  }
  assert.is(count, 60 * 10, "six seconds' permits each");
});

test("a draw that is logged again gives nothing more, and an image keeps all that", () => {
  const permits = new Permits();
  const { harness } = permits;
  const demand = { lapsed: 30, silent: 30 };
  const first = permits.draw([demand], { atMs: EXPIRY_BUDGET_MS, draw: 77 });
  assert.equal(permits.draw([demand], { atMs: EXPIRY_BUDGET_MS, draw: 77 }), first);
  permits.steer("hold", "us", 5_000, EXPIRY_BUDGET_MS);
  harness.reload();
  assert.equal(permits.draw([demand], { atMs: EXPIRY_BUDGET_MS, draw: 77 }), first);
  const next = permits.one({ lapsed: 100, silent: 100 }, { atMs: EXPIRY_BUDGET_MS, nodeId: 2 });
  assert.equal([next.first, next.count], [31, 70]);
  assert.is(permits.one({ region: "us", lapsed: 1 }, { atMs: EXPIRY_BUDGET_MS }).isHeld, true);
});

test("a hold stops permits until it ends, and a release gives them for what was stale", () => {
  const permits = new Permits();
  const demand = { confirmed: 400, stale: 200, silent: 600, released: 600 };
  permits.steer("hold", "", 100_000, 0);
  assert.is(permits.one(demand, { atMs: 99_999 }).isHeld, true);
  assert.is(permits.one(demand, { atMs: 100_000 }).count, PER_MINUTE);
  permits.steer("hold", "eu", 100_000, 100_000);
  assert.is(permits.one(demand, { atMs: 160_000 }).count, 0);
  const { releases } = permits.harness.state.expiry;
  permits.steer("release", "eu", 0, 160_000);
  assert.ok(permits.harness.state.expiry.releases > releases);
  assert.equal(permits.one(demand, { atMs: 160_000 }).count, 600);
  assert.is(permits.one({ ...demand, released: 0 }, { atMs: 160_000 }).count, PER_MINUTE);
  assert.is(permits.one({ ...demand, region: "us" }, { atMs: 160_000 }).isReleased, false);
  const late = permits.one(demand, { atMs: 160_000 + EXPIRY_RELEASE_MS });
  assert.equal([late.isReleased, late.count], [false, PER_MINUTE]);
  permits.steer("hold", "us", 60_000, 300_000);
  permits.steer("hold", "", 0, 300_000);
  assert.is(permits.one({ region: "us", confirmed: 1 }, { atMs: 300_000 }).isHeld, false);
});

test("of holds and releases, the later one counts, for one region or all", () => {
  const permits = new Permits();
  const demand = { confirmed: 400, stale: 200, silent: 600, released: 600 };
  permits.steer("hold", "", 900_000, 0);
  permits.steer("release", "eu", 0, 100_000);
  const released = permits.one(demand, { atMs: 100_000 });
  assert.equal([released.isReleased, released.count], [true, 600]);
  assert.is(permits.one({ ...demand, released: 0 }, { atMs: 100_000 }).isHeld, true);
  assert.is(permits.one({ ...demand, region: "us" }, { atMs: 100_000 }).isHeld, true);
  permits.steer("hold", "", 900_000, 100_001);
  assert.is(permits.one(demand, { atMs: 100_001 }).isHeld, true, "all are held again");
  permits.steer("release", "", 0, 100_002);
  assert.is(permits.one(demand, { atMs: 100_002 }).isReleased, true);
  permits.steer("hold", "eu", 900_000, 100_003);
  assert.is(permits.one(demand, { atMs: 100_003 }).isHeld, true);
  assert.is(permits.one({ ...demand, region: "us" }, { atMs: 100_003 }).isReleased, true);
});

test("what the guard does not know is refused", () => {
  const { harness } = new Permits();
  const header = { ...HEADER, timeMs: 9 };
  const draw = { draw: 1, nodeId: 9, ledFromMs: 0, ...SETTINGS, items: [] };
  assert.is(harness.apply(encodeDrawPermits(header, draw)), "invalid_argument", "no member");
  const shared = { ...draw, nodeId: 1, sharePermille: 1_001 };
  assert.is(harness.apply(encodeDrawPermits(header, shared)), "invalid_argument");
  const steer = { action: 9, region: "", forMs: 0, detail: "" } as const;
  assert.is(harness.apply(encodeSteerExpiry(header, steer)), "invalid_argument");
  const longer = { action: EXPIRY_ACTIONS.hold, region: "", forMs: 1e12, detail: "" };
  assert.is(harness.apply(encodeSteerExpiry(header, longer)), "invalid_argument");
  const early = new Permits(STALE_APPLY_VERSION - 1).harness;
  assert.is(early.apply(encodeDrawPermits(header, { ...draw, nodeId: 1 })), "invalid_argument");
  assert.ok(early.state.expiry.isEmpty);
});

test("with any draws and elections no permit is given twice, and no leadership exceeds its budget", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const entropy = new SeededEntropy(seed);
    const below = (limit: number) => Math.floor(entropy.unit() * limit);
    const permits = new Permits();
    const given = new Set<number>();
    let [atMs, term, ledFromMs, inTerm] = [0, 1, 0, 0];
    for (let step = 0; step < 300; step++) {
      atMs += below(4_000);
      if (entropy.unit() < 0.05) [term, ledFromMs, inTerm] = [term + 1, atMs, 0];
      const demand = {
        lapsed: below(20),
        silent: below(200),
        stale: below(20),
        confirmed: below(9),
      };
      const nodeId = 1 + below(2);
      const { first, count } = permits.one(demand, { atMs, term, ledFromMs, nodeId });
      for (let permit = first; permit < first + count; permit++) {
        assert.not.ok(given.has(permit), `seed ${seed}: permit ${permit} is given twice`);
        given.add(permit);
      }
      inTerm += count;
      const most = Math.floor((atMs - ledFromMs) * PER_MINUTE / EXPIRY_BUDGET_MS);
      assert.ok(inTerm <= most, `seed ${seed}: ${inTerm} permits of ${most}`);
      if (entropy.unit() < 0.05) permits.harness.reload();
    }
    assert.ok(given.size > 0);
  }
});

test.run();
