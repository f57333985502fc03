/**
 * Joining and renewing under lost replies, repetitions, stale reads and theft, in any order. An
 * owner who follows the rules (a new key is stored before it is requested, and requested again
 * until there is a reply) is never stopped; a generation never has two leaves; and if a thief
 * renewed a stolen leaf, the lineage ends as soon as both have made a request.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NO_GRANTS } from "../../src/base/peer.ts";
import type { EnrolmentChange, JoinToken, Lineage } from "../../src/system/enrolment_records.ts";
import {
  type DecidedLeaf,
  decideJoin,
  decideRenewal,
  decideUse,
  DEFAULT_RENEWAL_GRACE,
  type EnrolmentDecision,
  type Signer,
} from "../../identity/enrolment/enrolment.ts";
import { cases } from "../support/cases.ts";
import { AGENT, DAY_MS, MINUTE_MS, NOW_MS, REGION } from "../support/test_pki.ts";

const SIGNER: Signer = {
  keyId: new Uint8Array(20),
  region: REGION,
  notBeforeMs: NOW_MS - DAY_MS,
  notAfterMs: NOW_MS + 100 * DAY_MS,
};

/** Group 0, and the authority in front of it. Decisions may use state that was read earlier. */
class Authority {
  token: JoinToken = {
    hash: new Uint8Array(32),
    version: 1,
    subject: AGENT,
    grants: NO_GRANTS,
    expiresAtMs: NOW_MS + 10 * MINUTE_MS,
  };
  lineage: Lineage | undefined;
  /** The issued leaves, by generation: two of one generation must be equal. */
  readonly leaves = new Map<number, string>();
  #stale: { token: JoinToken; lineage: Lineage | undefined } | undefined;

  /** Makes the next decision use the current state, or an earlier one, whatever happened since. */
  readAhead({ token, lineage }: Pick<Authority, "token" | "lineage"> = this): void {
    this.#stale = { token, lineage };
  }

  /** Decides until the change is committed, first with the state that was read ahead. */
  decide(
    rule: (token: JoinToken, lineage: Lineage | undefined) => EnrolmentDecision,
  ): DecidedLeaf | string {
    const { token, lineage } = this.#stale ?? this;
    this.#stale = undefined;
    const decision = rule(token, lineage);
    const change = decision.kind === "repeat" ? undefined : decision.change;
    if (change !== undefined && !this.commit(change)) return this.decide(rule);
    if (decision.kind === "refuse") return decision.fault;
    const { leaf } = decision;
    const { generation } = leaf.registryIdentity;
    const text = JSON.stringify(leaf);
    assert.is(this.leaves.get(generation) ?? text, text, `generation ${generation}`);
    this.leaves.set(generation, text);
    return leaf;
  }

  commit({ token, lineages }: EnrolmentChange): boolean {
    if (token !== undefined && token.replacedVersion !== this.token.version) return false;
    for (const { replacedVersion } of lineages) {
      if (replacedVersion !== (this.lineage?.version ?? 0)) return false;
    }
    this.token = token?.record ?? this.token;
    for (const { record } of lineages) this.lineage = record;
    return true;
  }
}

/** The holder of a leaf who wants the next one. Keys are distinct numbers. */
class Holder {
  static #keys = 0;
  leaf: DecidedLeaf | undefined;
  /** The key that was stored and is requested until there is a reply. */
  wanted: number | undefined;
  refusedFor: string | undefined;

  ask(authority: Authority, nowMs: number, replyIsLost: boolean): void {
    this.wanted ??= ++Holder.#keys;
    const publicKey = new Uint8Array(32);
    new DataView(publicKey.buffer).setUint32(0, this.wanted);
    const { leaf } = this;
    const answer = authority.decide((token, lineage) =>
      leaf === undefined
        ? decideJoin({
          token,
          subject: AGENT,
          publicKey,
          existing: lineage,
          nextLineage: 7,
          signer: SIGNER,
          nowMs,
        })
        : decideRenewal({
          lineage,
          presented: { ...leaf, generation: leaf.registryIdentity.generation },
          publicKey,
          memberKey: undefined,
          signer: SIGNER,
          grace: DEFAULT_RENEWAL_GRACE,
          nowMs,
        })
    );
    if (replyIsLost) return;
    if (typeof answer === "string") this.refusedFor = answer;
    else {
      this.leaf = answer;
      this.wanted = undefined;
    }
  }

  use(authority: Authority): void {
    if (this.leaf === undefined || authority.lineage === undefined) return;
    const change = decideUse(authority.lineage, this.leaf.registryIdentity.generation);
    if (change !== undefined) assert.ok(authority.commit(change));
  }
}

type Step = {
  readonly kind: "ask" | "use" | "read ahead";
  readonly lost: boolean;
  readonly waitMs: number;
};

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("ask", "ask", "use", "read ahead"),
  lost: fc.boolean(),
  waitMs: fc.integer({ min: 0, max: 30 * MINUTE_MS }),
});
const steps = fc.array(step, { maxLength: 30 });

/** Runs steps starting at a time; returns the time after them. */
function run(authority: Authority, holder: Holder, list: readonly Step[], fromMs: number): number {
  let nowMs = fromMs;
  for (const { kind, lost, waitMs } of list) {
    // Before it has joined, an owner is quick: a token is valid for ten minutes.
    nowMs += holder.leaf === undefined ? 0 : waitMs;
    if (kind === "ask") holder.ask(authority, nowMs, lost);
    else if (kind === "use") holder.use(authority);
    else authority.readAhead();
  }
  return nowMs;
}

test("an owner who keeps to the rules is never refused", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const authority = new Authority();
      const owner = new Holder();
      const nowMs = run(authority, owner, list, NOW_MS);
      owner.ask(authority, nowMs, false);
      assert.is(owner.refusedFor, undefined);
      assert.is(authority.lineage?.stopped, undefined);
      assert.is(owner.leaf?.registryIdentity.generation, authority.lineage?.latest.generation);
    }),
    { numRuns: cases(2_000) },
  );
});

test("a stolen leaf that is renewed ends the lineage once both have asked", () => {
  fc.assert(
    fc.property(steps, steps, steps, fc.boolean(), (before, byThief, byOwner, thiefIsFirst) => {
      const authority = new Authority();
      const owner = new Holder();
      owner.ask(authority, NOW_MS, false);
      let nowMs = run(authority, owner, before, NOW_MS);
      // The thief copies everything that the owner has on disk, except a key that it already
      // requested: a holder of that key, too, cannot be distinguished from the owner.
      const thief = new Holder();
      thief.leaf = owner.leaf;
      const turns: [Holder, readonly Step[]][] = [[thief, byThief], [owner, byOwner]];
      for (const [holder, list] of thiefIsFirst ? turns : turns.reverse()) {
        nowMs = run(authority, holder, list, nowMs);
        holder.ask(authority, nowMs, false);
      }
      assert.is(authority.lineage?.stopped, "stolen");
      for (const holder of [owner, thief]) {
        holder.refusedFor = undefined;
        holder.ask(authority, nowMs, false);
        assert.is(holder.refusedFor, "lineage_stopped");
      }
    }),
    { numRuns: cases(2_000) },
  );
});

test("however many race for a token, one gets a lineage", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 2, maxLength: 8 }), (races) => {
      const authority = new Authority();
      const unspent = new Authority();
      const holders = races.map((isStale) => {
        const holder = new Holder();
        // A decision with state read ahead uses the unspent token, whatever was committed
        // meanwhile.
        if (isStale) authority.readAhead(unspent);
        holder.ask(authority, NOW_MS, false);
        return holder;
      });
      assert.is(holders.filter(({ leaf }) => leaf !== undefined).length, 1);
      const refused = holders.filter(({ refusedFor }) => refusedFor === "token_spent");
      assert.is(refused.length, races.length - 1);
    }),
  );
});

test.run();
