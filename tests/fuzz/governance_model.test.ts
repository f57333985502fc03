/**
 * The governed plane under interleaved commands, against a model of plain arrays: what is applied, what
 * is refused, and that nothing that was applied ever changes. Quorum by brute force.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PROPOSAL_LIFE_MS } from "../../src/base/limits.ts";
import { NO_PREVIOUS } from "../../src/governance/documents/content_id.ts";
import type { ReadPayload } from "../../src/governance/documents/payload.ts";
import { type CountedApproval, missingApprovals } from "../../src/governance/quorum.ts";
import type { SignerSet } from "../../src/governance/signer_set.ts";
import { encodeTick } from "../../src/record/command.ts";
import { extendsTree } from "../../src/governance/tree/merkle_proof.ts";
import { cases } from "../support/cases.ts";
import { GovernanceHarness, signer, signersBody, type TestSigner } from "../support/governance.ts";

const IDS = ["x", "y"] as const;
/** Three signers with two keys each, and one that is none at first. */
const KEYS = ["a", "b", "c", "d"].flatMap((id, at) => [signer(id, 50 + at), signer(id, 60 + at)]);
const key = fc.nat({ max: KEYS.length - 1 });
const keys = fc.uniqueArray(key, { maxLength: 3 });

type Step =
  | { op: "propose"; id: number; body: number; keys: number[]; skew: number }
  | { op: "sign"; proposal: number; keys: number[] }
  | { op: "apply"; proposal: number }
  | { op: "signers"; second: number; hasD: boolean; revokes: boolean; keys: number[] }
  | { op: "freeze"; frozen: boolean; keys: number[] }
  | { op: "wait" }
  | { op: "reload" };

const proposal = fc.integer({ min: 1, max: 8 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant("propose" as const),
      id: fc.nat({ max: 1 }),
      body: fc.nat({ max: 2 }),
      keys,
      skew: fc.constantFrom(0, 0, 0, 0, 1, -1),
    }),
  },
  { weight: 5, arbitrary: fc.record({ op: fc.constant("sign" as const), proposal, keys }) },
  { weight: 8, arbitrary: fc.record({ op: fc.constant("apply" as const), proposal }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("signers" as const),
      second: fc.nat({ max: 7 }),
      hasD: fc.boolean(),
      revokes: fc.boolean(),
      keys: fc.uniqueArray(key, { minLength: 2, maxLength: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("freeze" as const), frozen: fc.boolean(), keys }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("wait" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("reload" as const) }) },
);

interface ModelSet {
  readonly keys: readonly TestSigner[];
  readonly revoked: readonly TestSigner[];
}

interface ModelProposal {
  readonly read: ReadPayload;
  readonly next: ModelSet | undefined;
  readonly createdMs: number;
  /** The keys that approved, with the number of the set that had them. */
  approvals: { one: TestSigner; set: number }[];
  state: "open" | "closed" | "applied";
}

const THRESHOLD = 2;

/** The rules once more, with lists that are searched. */
class Model {
  readonly harness = new GovernanceHarness({ signers: [KEYS[0]!, KEYS[2]!, KEYS[4]!] });
  readonly proposals: ModelProposal[] = [];
  readonly applied: ModelProposal[] = [];
  sets: ModelSet[] = [{ keys: [KEYS[0]!, KEYS[2]!, KEYS[4]!], revoked: [] }];
  roots: Uint8Array[] = [];

  get set(): ModelSet {
    return this.sets.at(-1)!;
  }

  get isFrozen(): boolean {
    return this.head("@freeze")?.read.payload.body["frozen"] === true;
  }

  head(id: string): ModelProposal | undefined {
    return this.applied.filter(({ read }) => read.payload.id === id).at(-1);
  }

  run(step: Step): void {
    const { harness } = this;
    switch (step.op) {
      case "propose": {
        const id = IDS[step.id]!;
        const head = this.head(id)?.read;
        const version = Math.max(1, (head?.payload.version ?? 0) + 1 + step.skew);
        const prev_hash = version === 1 ? NO_PREVIOUS : head?.contentId ?? `b3:${"1".repeat(64)}`;
        const body = { n: step.body };
        const read = harness.next({ id, version, prev_hash, body, kind: "service" });
        return this.propose(read, step.keys, undefined);
      }
      case "signers": {
        const keys = this.set.keys.map((one) => ({ ...one }));
        const changed = KEYS[step.second]!;
        const revoked = [...this.set.revoked];
        const at = keys.findIndex(({ id }) => id === changed.id);
        if (at >= 0) {
          if (step.revokes && keys[at]!.key !== changed.key) revoked.push(keys[at]!);
          keys[at] = changed;
        } else if (step.hasD) keys.push(changed);
        const next = { keys, revoked };
        if (keys.some(({ key }) => revoked.some((one) => one.key === key))) return;
        return this.propose(
          harness.nextSigners(signersBody(keys, THRESHOLD, revoked)),
          step.keys,
          next,
        );
      }
      case "freeze":
        return this.propose(harness.nextFreeze(step.frozen), step.keys, undefined);
      case "sign":
        return this.sign(step.proposal, step.keys);
      case "apply":
        return this.apply(step.proposal);
      case "wait":
        harness.timeMs += PROPOSAL_LIFE_MS / 2;
        return;
      case "reload":
        harness.reload();
    }
  }

  isNext({ payload }: ReadPayload): boolean {
    const head = this.head(payload.id)?.read;
    return payload.version === (head?.payload.version ?? 0) + 1 &&
      payload.prev_hash === (head?.contentId ?? NO_PREVIOUS);
  }

  propose(read: ReadPayload, keys: readonly number[], next: ModelSet | undefined): void {
    const signers = keys.map((at) => KEYS[at]!);
    const reply = this.harness.propose(read, signers);
    const known = this.proposals.find((one) =>
      one.read.contentId === read.contentId && this.stateOf(one) !== "closed"
    );
    if (known !== undefined) {
      if (known.state === "applied") return assert.is(reply.code, "ok");
      return this.approve(known, signers, reply.code);
    }
    if (!this.isNext(read)) return assert.is(reply.code, "stale_version");
    const isFreeze = read.action === "freeze";
    if (isFreeze && read.payload.body["frozen"] === this.isFrozen) {
      return assert.is(reply.code, "invalid_argument");
    }
    const made: ModelProposal = {
      read,
      next,
      createdMs: this.harness.timeMs,
      approvals: [],
      state: "open",
    };
    this.approve(made, signers, reply.code);
    if (reply.code !== "ok") return;
    this.proposals.push(made);
    assert.is(reply.code === "ok" && reply.proposal, this.proposals.length);
  }

  sign(number: number, keys: readonly number[]): void {
    const made = this.proposals[number - 1];
    const signers = keys.map((at) => KEYS[at]!);
    const { code } = this.harness.sign(
      number,
      signers,
      made?.read ?? this.proposals[0]?.read ??
        this.harness.next({ id: "x" }),
    );
    const state = made === undefined ? "closed" : this.stateOf(made);
    if (state === "closed") return assert.is(code, "not_found");
    if (state === "applied") return assert.is(code, "ok");
    this.approve(made!, signers, code);
  }

  approve(made: ModelProposal, signers: readonly TestSigner[], code: string): void {
    const has = (set: ModelSet | undefined, { id, key }: TestSigner) =>
      set?.keys.some((one) => one.id === id && one.key === key) === true;
    const number = this.sets.length - 1;
    const given = signers.map((one) => ({
      one,
      set: has(this.set, one) ? number : has(made.next, one) ? number + 1 : -1,
    }));
    if (given.some(({ set }) => set === -1)) return assert.is(code, "bad_signature");
    assert.is(code, "ok");
    for (const approval of given) {
      const isNew = !made.approvals.some(({ one }) => one.key === approval.one.key);
      if (isNew) made.approvals.push(approval);
    }
  }

  stateOf(made: ModelProposal): ModelProposal["state"] {
    const isOver = this.harness.timeMs >= made.createdMs + PROPOSAL_LIFE_MS;
    if (made.state === "open" && isOver) made.state = "closed";
    return made.state;
  }

  apply(number: number): void {
    const reply = this.harness.applied(number);
    const made = this.proposals[number - 1];
    const state = made === undefined ? "closed" : this.stateOf(made);
    if (made === undefined || state === "closed") return assert.is(reply.code, "not_found");
    if (state === "applied") {
      return assert.is(reply.code === "ok" && reply.version, this.applied.indexOf(made) + 1);
    }
    if (this.isFrozen && !made.read.payload.id.startsWith("@")) {
      return assert.is(reply.code, "frozen");
    }
    if (!this.isDecided(made)) return assert.is(reply.code, "no_quorum");
    assert.is(reply.code, "ok");
    made.state = "applied";
    this.applied.push(made);
    if (made.next !== undefined) this.sets.push(made.next);
    const { id, version } = made.read.payload;
    for (const other of this.proposals) {
      const { payload } = other.read;
      if (other.state !== "open" || payload.id !== id || payload.version > version) continue;
      other.state = "closed";
    }
  }

  isDecided({ approvals, next, read }: ModelProposal): boolean {
    const { keys, revoked } = this.set;
    const count = (counts: (one: TestSigner, set: number) => boolean) =>
      new Set(approvals.filter(({ one, set }) => counts(one, set)).map(({ one }) => one.id)).size;
    const listed = (of: readonly TestSigner[]) =>
      count((one) => of.some(({ id, key }) => id === one.id && key === one.key));
    if (read.action === "freeze" && read.payload.body["frozen"] === true) return listed(keys) > 0;
    const number = this.sets.length - 1;
    const old = count((one, set) => set <= number && !revoked.some(({ key }) => key === one.key));
    return old >= THRESHOLD && (next === undefined || listed(next.keys) >= THRESHOLD);
  }

  /** Checks the invariants after a step. */
  check(): void {
    const { log } = this.harness.plane;
    assert.is(log.version, this.applied.length);
    this.applied.forEach((made, at) => {
      const { entry, read } = log.at(at + 1)!;
      assert.is(entry.contentId, made.read.contentId);
      assert.is(read.contentId, made.read.contentId);
    });
    // The log only grows.
    const size = log.version;
    const root = log.tree.root();
    this.roots.forEach((old, at) => {
      if (at > 0 && at <= size) {
        const proof = log.tree.consistency(at);
        assert.is(extendsTree({ size, root }, { size: at, root: old }, proof), true);
      }
    });
    this.roots[size] = root;
  }
}

test("GovernanceStore does what the model does, whatever the order of commands", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 4, maxLength: 24 }), (steps) => {
      const model = new Model();
      for (const one of steps) {
        model.run(one);
        model.check();
      }
    }),
    { numRuns: cases(60) },
  );
});

test("a refused command leaves everything but audit, quotas and position as it was", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 4, maxLength: 16 }), (steps) => {
      const model = new Model();
      for (const one of steps) {
        model.run(one);
        model.harness.apply(encodeTick(model.harness.header));
        const before = stateOf(model.harness);
        model.harness.propose(model.harness.next({ id: "x" }), [signer("z", 99)]);
        model.harness.applied(99);
        assert.is(stateOf(model.harness), before);
      }
    }),
    { numRuns: 12 },
  );
});

/** Returns log, proposals and signers as a text. */
function stateOf({ plane }: GovernanceHarness): string {
  const open = Array.from(
    plane.proposals.all,
    ({ number, read, approvals }) => [number, read.contentId, ...approvals.map(({ key }) => key)],
  );
  const { number } = plane.signers.current;
  return JSON.stringify([plane.log.version, [...plane.log.tree.root()], open, number]);
}

test("missingApprovals agrees with counting every subset of signers", () => {
  const names = ["a", "b", "c"];
  const approval = fc.record({
    signerId: fc.constantFrom(...names),
    generation: fc.nat({ max: 1 }),
    set: fc.nat({ max: 2 }),
  });
  fc.assert(fc.property(
    fc.array(approval, { maxLength: 6 }),
    fc.integer({ min: 1, max: 3 }),
    fc.subarray(["a0", "b0", "c0", "a1"]),
    (given, threshold, revoked) => {
      const approvals: CountedApproval[] = given.map(({ signerId, generation, set }) => ({
        signerId,
        key: `${signerId}${generation}`,
        set,
      }));
      const current: SignerSet = {
        number: 1,
        threshold,
        signers: new Map(names.map((name) => [name, `${name}1`])),
        revoked: new Set(revoked),
        checkpointKeys: [],
      };
      const missing = missingApprovals(approvals, { current, proposed: undefined, freezes: false });
      // The quorum is there if some set of `threshold` signers approved with a key that counts.
      const approved = (name: string) =>
        approvals.some(({ signerId, key, set }) =>
          signerId === name && set <= 1 && !revoked.includes(key)
        );
      const subsets = Array.from(
        { length: 8 },
        (_, bits) => names.filter((_, at) => (bits >> at & 1) === 1),
      );
      const isThere = subsets.some((subset) =>
        subset.length === threshold && subset.every(approved)
      );
      assert.is(missing === 0, isThere);
    },
  ));
});

test.run();
