/**
 * Issuing of leaves: joining, renewing, repeating, theft. Decisions are pure; a small store
 * replaces group 0, which accepts a change only if the versions that it replaces are current.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NO_GRANTS } from "../../../../src/base/peer.ts";
import type {
  EnrolmentChange,
  JoinToken,
  Lineage,
  RecordChange,
} from "../../../../src/system/enrolment_records.ts";
import {
  decideBan,
  type DecidedLeaf,
  decideJoin,
  decideRenewal,
  decideUse,
  DEFAULT_RENEWAL_GRACE,
  type EnrolmentDecision,
  type JoinRequest,
  leafOf,
  type Signer,
  type ValidatedRenewal,
} from "../../../../identity/enrolment/enrolment.ts";
import { AGENT, DAY_MS, MINUTE_MS, NOW_MS, REGION } from "../../../support/test_pki.ts";

const HOUR_MS = 60 * MINUTE_MS;
const SIGNER: Signer = {
  keyId: new Uint8Array(20).fill(9),
  region: REGION,
  notBeforeMs: NOW_MS - DAY_MS,
  notAfterMs: NOW_MS + 60 * DAY_MS,
};
const NODE = AGENT.replace("/agent/", "/node/");
const PROXY = AGENT.replace("/agent/", "/proxy/");

/**
 * Keys are identified by a number here; their proof is tested in `certificate_request.ts`'s own
 * tests.
 */
const key = (number: number) => new Uint8Array(32).fill(number);

/** The part of group 0 that enrolment uses. */
class Records {
  readonly tokens = new Map<string, JoinToken>();
  readonly lineages = new Map<number, Lineage>();

  /** Returns true if all replaced versions were current; otherwise nothing is changed. */
  commit({ token, lineages }: EnrolmentChange): boolean {
    const stands = <T extends { readonly version: number }>(
      change: RecordChange<T>,
      found: T | undefined,
    ) => (found?.version ?? 0) === change.replacedVersion;
    if (token && !stands(token, this.tokens.get(String(token.record.hash)))) return false;
    if (!lineages.every((change) => stands(change, this.lineages.get(change.record.lineage)))) {
      return false;
    }
    if (token) this.tokens.set(String(token.record.hash), token.record);
    for (const { record } of lineages) this.lineages.set(record.lineage, record);
    return true;
  }
}

function tokenFor(subject = AGENT, changes: Partial<JoinToken> = {}): JoinToken {
  return {
    hash: key(200),
    version: 1,
    subject,
    grants: { ...NO_GRANTS, domains: ["bank.example"] },
    expiresAtMs: NOW_MS + 10 * MINUTE_MS,
    ...changes,
  };
}

function joinRequest(changes: Partial<JoinRequest> = {}): JoinRequest {
  return {
    token: tokenFor(),
    subject: AGENT,
    publicKey: key(1),
    existing: undefined,
    nextLineage: 7,
    signer: SIGNER,
    nowMs: NOW_MS,
    ...changes,
  };
}

/** Returns a short form of a decision. */
function verdict(decision: EnrolmentDecision): string {
  if (decision.kind !== "refuse") return decision.kind;
  return decision.fault + (decision.change === undefined ? "" : " (stopped)");
}

function issued(decision: EnrolmentDecision): DecidedLeaf {
  if (decision.kind === "refuse") throw new Error(`Refused: ${decision.fault}`);
  return decision.leaf;
}

/** Returns an owner's lineage of some generations, with key n for generation n. */
function lineageOf(generation: number, subject = AGENT): { lineage: Lineage; records: Records } {
  const records = new Records();
  const commit = (decision: EnrolmentDecision) => {
    assert.is(decision.kind, "issue");
    if (decision.kind === "issue") assert.ok(records.commit(decision.change));
  };
  const token = tokenFor(subject);
  records.tokens.set(String(token.hash), token);
  commit(decideJoin(joinRequest({ token, subject })));
  for (let next = 2; next <= generation; next++) {
    const lineage = records.lineages.get(7)!;
    commit(decideRenewal(renewalRequest(lineage, next - 1, next)));
  }
  return { lineage: records.lineages.get(7)!, records };
}

/**
 * Returns a request to renew with the leaf of a generation, with key n for generation n, for a new
 * key.
 */
function renewalRequest(
  lineage: Lineage | undefined,
  generation: number,
  newKey: number,
  changes: Partial<ValidatedRenewal> = {},
): ValidatedRenewal {
  return {
    lineage,
    presented: {
      subject: lineage?.subject ?? AGENT,
      generation,
      publicKey: key(generation),
      notAfterMs: NOW_MS + HOUR_MS,
    },
    publicKey: key(newKey),
    memberKey: undefined,
    signer: SIGNER,
    grace: DEFAULT_RENEWAL_GRACE,
    nowMs: NOW_MS,
    ...changes,
  };
}

test("decideJoin gives the token's subject and grants a lineage of its own", () => {
  const leaf = issued(decideJoin(joinRequest()));
  assert.is(leaf.subject, AGENT);
  assert.equal(leaf.registryIdentity, {
    lineage: 7,
    generation: 1,
    grants: { domains: ["bank.example"], gateways: [] },
  });
  assert.equal(leaf.publicKey, key(1));
  assert.is(leaf.notAfterMs, NOW_MS + HOUR_MS);
  assert.is(leaf.notBeforeMs, NOW_MS - 5 * MINUTE_MS);
  assert.equal(leaf.issuerKeyId, SIGNER.keyId);
});

test("decideJoin refuses requests that the token does not cover", () => {
  const refused: [Partial<JoinRequest>, string][] = [
    [{ token: undefined }, "unknown_token"],
    [{ subject: PROXY }, "wrong_subject"],
    [{ subject: AGENT.replace(REGION, "us-2") }, "wrong_subject"],
    [{ signer: { ...SIGNER, region: "us-2" } }, "wrong_region"],
    [{ nowMs: NOW_MS + 10 * MINUTE_MS }, "token_expired"],
    [{ signer: { ...SIGNER, notAfterMs: NOW_MS + 4 * MINUTE_MS } }, "signer_ending"],
    [{ signer: { ...SIGNER, notBeforeMs: NOW_MS + 1_000 } }, "signer_ending"],
  ];
  for (const [changes, expected] of refused) {
    assert.is(verdict(decideJoin(joinRequest(changes))), expected);
  }
  const lastMoment = { nowMs: NOW_MS + 10 * MINUTE_MS - 1 };
  assert.is(verdict(decideJoin(joinRequest(lastMoment))), "issue");
});

test("decideJoin spends a token once, even when two race for it", () => {
  const records = new Records();
  const token = tokenFor();
  records.tokens.set(String(token.hash), token);
  // Both read the token before either is committed.
  const first = decideJoin(joinRequest({ token, publicKey: key(1), nextLineage: 7 }));
  const second = decideJoin(joinRequest({ token, publicKey: key(2), nextLineage: 8 }));
  assert.ok(first.kind === "issue" && records.commit(first.change));
  assert.ok(second.kind === "issue" && !records.commit(second.change));
  assert.not(records.lineages.has(8));
  // The losing request is decided again, and refused.
  const spent = records.tokens.get(String(token.hash));
  const existing = records.lineages.get(7);
  const again = joinRequest({ token: spent, publicKey: key(2), nextLineage: 8, existing });
  assert.is(verdict(decideJoin(again)), "token_spent");
});

test("decideJoin repeats the leaf for the same request until it was used", () => {
  const { lineage, records } = lineageOf(1);
  const token = records.tokens.get(String(key(200)));
  const repeated = joinRequest({ token, existing: lineage, nowMs: NOW_MS + 30 * MINUTE_MS });
  assert.is(verdict(decideJoin(repeated)), "repeat");
  assert.equal(issued(decideJoin(repeated)), leafOf(lineage, lineage.latest));
  assert.is(verdict(decideJoin({ ...repeated, publicKey: key(2) })), "token_spent");
  assert.is(verdict(decideJoin({ ...repeated, existing: undefined })), "token_spent");
  assert.ok(records.commit(decideUse(lineage, 1)!));
  const used = records.lineages.get(7);
  assert.is(verdict(decideJoin({ ...repeated, existing: used })), "token_spent");
  const stopped = decideBan(lineage)!.lineages[0]!.record;
  assert.is(verdict(decideJoin({ ...repeated, existing: stopped })), "token_spent");
});

test("decideJoin stops the lineage that the subject had before", () => {
  const { lineage } = lineageOf(3);
  const decision = decideJoin(
    joinRequest({ token: tokenFor(AGENT, { hash: key(201) }), existing: lineage, nextLineage: 8 }),
  );
  assert.is(decision.kind, "issue");
  if (decision.kind !== "issue") return;
  const [made, ended] = decision.change.lineages;
  assert.is(made!.record.lineage, 8);
  assert.is(ended!.record.stopped, "replaced");
  assert.is(ended!.replacedVersion, lineage.version);
});

test("decideRenewal gives the next generation and remembers the one before", () => {
  const { lineage } = lineageOf(2);
  const decision = decideRenewal(renewalRequest(lineage, 2, 3));
  const leaf = issued(decision);
  assert.is(leaf.registryIdentity.lineage, 7);
  assert.is(leaf.registryIdentity.generation, 3);
  assert.equal(leaf.publicKey, key(3));
  assert.ok(decision.kind === "issue");
  const { record } = decision.change.lineages[0]!;
  assert.is(record.version, lineage.version + 1);
  assert.is(record.previous?.generation, 2);
  assert.not(record.latestUsed);
});

test("decideRenewal repeats the leaf whose reply was lost, until it was used", () => {
  const { lineage, records } = lineageOf(3);
  const repeated = decideRenewal(renewalRequest(lineage, 2, 3, { nowMs: NOW_MS + MINUTE_MS }));
  assert.is(verdict(repeated), "repeat");
  assert.equal(issued(repeated), leafOf(lineage, lineage.latest));
  assert.ok(records.commit(decideUse(lineage, 3)!));
  const used = records.lineages.get(7)!;
  assert.is(verdict(decideRenewal(renewalRequest(used, 2, 3))), "superseded");
  assert.is(verdict(decideRenewal(renewalRequest(used, 3, 4))), "issue");
});

test("decideRenewal stops the lineage when an old generation asks with another key", () => {
  const { lineage, records } = lineageOf(3);
  for (const generation of [1, 2]) {
    const decision = decideRenewal(renewalRequest(lineage, generation, 99));
    assert.is(verdict(decision), "lineage_stopped (stopped)");
    assert.ok(decision.kind === "refuse");
    assert.is(decision.change!.lineages[0]!.record.stopped, "stolen");
  }
  records.commit(decideUse(lineage, 3)!);
  const used = records.lineages.get(7)!;
  assert.is(verdict(decideRenewal(renewalRequest(used, 2, 99))), "lineage_stopped (stopped)");
});

test("decideRenewal: the second renewal of thief and owner stops both", () => {
  const { lineage, records } = lineageOf(1);
  const theft = decideRenewal(renewalRequest(lineage, 1, 66));
  assert.ok(theft.kind === "issue" && records.commit(theft.change));
  const owner = decideRenewal(renewalRequest(records.lineages.get(7), 1, 2));
  assert.is(verdict(owner), "lineage_stopped (stopped)");
  assert.ok(owner.kind === "refuse" && records.commit(owner.change!));
  // From now on neither holder gets a leaf.
  const stopped = records.lineages.get(7);
  const presented = { ...renewalRequest(stopped, 2, 67).presented, publicKey: key(66) };
  assert.is(
    verdict(decideRenewal(renewalRequest(stopped, 2, 67, { presented }))),
    "lineage_stopped",
  );
  assert.is(verdict(decideRenewal(renewalRequest(stopped, 1, 2))), "lineage_stopped");
  assert.is(decideUse(stopped!, 2), undefined);
});

test("decideRenewal stops the lineage when two leaves of one generation are about", () => {
  const { lineage } = lineageOf(2);
  const request = renewalRequest(lineage, 2, 3);
  const forged = { ...request, presented: { ...request.presented, publicKey: key(99) } };
  assert.is(verdict(decideRenewal(forged)), "lineage_stopped (stopped)");
});

test("decideRenewal refuses a lineage or generation that group 0 does not know", () => {
  const { lineage } = lineageOf(2);
  assert.is(verdict(decideRenewal(renewalRequest(undefined, 1, 2))), "unknown_lineage");
  assert.is(verdict(decideRenewal(renewalRequest(lineage, 3, 4))), "unknown_generation");
  const request = renewalRequest(lineage, 2, 3);
  const other = { ...request, presented: { ...request.presented, subject: PROXY } };
  assert.is(verdict(decideRenewal(other)), "unknown_lineage");
});

test("decideRenewal takes the same key again, as nodes of the member list have one", () => {
  const { lineage, records } = lineageOf(1);
  const first = decideRenewal(renewalRequest(lineage, 1, 1));
  assert.ok(first.kind === "issue" && records.commit(first.change));
  const renewed = records.lineages.get(7);
  assert.is(verdict(decideRenewal(renewalRequest(renewed, 1, 1))), "repeat");
  const presented = { ...renewalRequest(renewed, 2, 1).presented, publicKey: key(1) };
  assert.is(verdict(decideRenewal(renewalRequest(renewed, 2, 1, { presented }))), "issue");
});

test("decideRenewal takes an expired leaf within the grace of its role alone", () => {
  const verdictAfter = (subject: string, afterMs: number, memberKey?: Uint8Array) => {
    const { lineage } = lineageOf(1, subject);
    const nowMs = NOW_MS + HOUR_MS + afterMs;
    const signer = { ...SIGNER, notAfterMs: nowMs + DAY_MS };
    return verdict(decideRenewal(renewalRequest(lineage, 1, 2, { nowMs, memberKey, signer })));
  };
  const gateway = AGENT.replace("/agent/", "/gateway/");
  const controller = AGENT.replace("/agent/", "/controller/");
  for (const subject of [AGENT, gateway]) {
    assert.is(verdictAfter(subject, DAY_MS), "issue");
    assert.is(verdictAfter(subject, DAY_MS + 1), "expired");
    assert.is(verdictAfter(subject, DAY_MS + 1, key(1)), "expired", "no agent is a member");
  }
  assert.is(verdictAfter(NODE, 30 * DAY_MS, key(1)), "issue");
  assert.is(verdictAfter(NODE, 30 * DAY_MS + 1, key(1)), "expired");
  assert.is(verdictAfter(NODE, 1, key(2)), "issue", "the key that is asked for stands in the list");
  assert.is(verdictAfter(NODE, 1, key(3)), "expired", "another key stands in the list");
  for (const subject of [NODE, PROXY, controller]) {
    assert.is(verdictAfter(subject, 0), "issue");
    assert.is(verdictAfter(subject, 1), "expired");
  }
});

test("decideRenewal notices a thief by a leaf that has expired, too", () => {
  const { lineage } = lineageOf(3);
  const nowMs = NOW_MS + 3 * DAY_MS;
  assert.is(
    verdict(decideRenewal(renewalRequest(lineage, 2, 99, { nowMs }))),
    "lineage_stopped (stopped)",
  );
});

test("a leaf never outlives its signer, and never begins before it", () => {
  const signer = {
    ...SIGNER,
    notBeforeMs: NOW_MS - MINUTE_MS,
    notAfterMs: NOW_MS + 20 * MINUTE_MS,
  };
  const leaf = issued(decideJoin(joinRequest({ signer })));
  assert.is(leaf.notBeforeMs, signer.notBeforeMs);
  assert.is(leaf.notAfterMs, signer.notAfterMs);
});

test("decideUse changes the record at the first use of the latest leaf alone", () => {
  const { lineage, records } = lineageOf(2);
  assert.is(decideUse(lineage, 1), undefined);
  assert.is(decideUse(lineage, 3), undefined);
  const change = decideUse(lineage, 2)!;
  assert.ok(records.commit(change));
  const used = records.lineages.get(7)!;
  assert.ok(used.latestUsed);
  assert.is(used.previous, undefined);
  assert.is(decideUse(used, 2), undefined);
  assert.not(records.commit(change), "a stale change is not taken");
});

test("decideBan stops a lineage once", () => {
  const { lineage } = lineageOf(1);
  const { record } = decideBan(lineage)!.lineages[0]!;
  assert.is(record.stopped, "banned");
  assert.is(decideBan(record), undefined);
});

test("leafOf gives no two leaves one serial number", () => {
  const { lineage } = lineageOf(1);
  const serials = new Set<string>();
  for (let number = 2; number < 30; number++) {
    for (let generation = 1; generation < 30; generation++) {
      const leaf = { ...lineage.latest, generation };
      serials.add(leafOf({ ...lineage, lineage: number }, leaf).serialNumber.join());
    }
  }
  assert.is(serials.size, 28 * 29);
});

test.run();
