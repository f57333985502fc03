/**
 * Group 0's identities: changes that name the version they replace, bounded, audited, and their
 * image.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { AUDIT_ACTIONS, auditEntryCodec } from "../../../schemas/gen/audit.ts";
import { BANS_MAX, JOIN_TOKENS_MAX } from "../../../src/base/limits.ts";
import { NO_GRANTS } from "../../../src/base/peer.ts";
import { encodeGenesis } from "../../../src/record/command.ts";
import { verifyAudit } from "../../../src/system/audit_log.ts";
import type { JoinToken, Lineage } from "../../../src/system/enrolment_records.ts";
import { BAN_KINDS } from "../../../schemas/gen/wire.ts";
import { DOCUMENTS } from "../../../schemas/gen/identity.ts";
import {
  CAPABILITIES_APPLY_VERSION,
  encodeAuditNote,
  encodeAuditPage,
  encodeBan,
  encodeDocument,
  encodeEnrolment,
  READ_LIMITS_APPLY_VERSION,
} from "../../../src/system/identity_codec.ts";
import { SystemStore } from "../../../src/system/system_store.ts";
import { encodeRaiseApplyVersion } from "../../../src/system/versions/version_state.ts";
import { SystemHarness } from "../../support/system_harness.ts";

const HEADER = { timeMs: 5, unixS: 1_000, writer: 9 };
const GRANTS = { domains: ["*.example"], gateways: ["g"], credentialHashes: true };

function hashOf(number: number): Uint8Array {
  const hash = new Uint8Array(32).fill(7);
  new DataView(hash.buffer).setUint32(0, number);
  return hash;
}

function tokenOf(number: number, rest: Partial<JoinToken> = {}): JoinToken {
  const subject = `spiffe://t/region/eu/agent/${number}`;
  return { hash: hashOf(number), version: 1, subject, grants: GRANTS, expiresAtMs: 5_000, ...rest };
}

function lineageOf(lineage: number, rest: Partial<Lineage> = {}): Lineage {
  return {
    lineage,
    version: 1,
    subject: `spiffe://t/region/eu/agent/${lineage}`,
    grants: NO_GRANTS,
    latest: {
      generation: 1,
      publicKey: new Uint8Array(32).fill(lineage),
      notBeforeMs: 1_000,
      notAfterMs: 9_000,
      issuerKeyId: new Uint8Array(20).fill(3),
    },
    latestUsed: false,
    ...rest,
  };
}

class Harness {
  readonly store = new SystemStore();

  apply(data: Uint8Array): string {
    return this.store.apply({ index: this.store.appliedIndex + 1, term: 1, data }).code;
  }

  put(change: Parameters<typeof encodeEnrolment>[1], unixS = HEADER.unixS): string {
    return this.apply(encodeEnrolment({ ...HEADER, unixS }, change));
  }

  get identities() {
    return this.store.identities;
  }

  get audited(): { action: number; subject: string; detail: string; writer: number }[] {
    return this.identities.audit.read(1, 100).map((bytes) => auditEntryCodec.decode(bytes));
  }
}

test("an enrolment change puts its records as they were", () => {
  const harness = new Harness();
  const token = tokenOf(1, { spent: { publicKey: new Uint8Array(32).fill(5), lineage: 2 } });
  const previous = { ...lineageOf(2).latest, generation: 4 };
  const lineage = lineageOf(2, { stopped: "replaced", latestUsed: true, previous });
  const change = {
    token: { replacedVersion: 0, record: token },
    lineages: [{ replacedVersion: 0, record: lineage }],
  };
  assert.is(harness.put(change), "ok");
  assert.equal(harness.identities.token(hashOf(1)), token);
  assert.equal(harness.identities.lineage(2), lineage);
  assert.is(harness.identities.lineageOf(lineage.subject), undefined, "it is stopped");
  assert.is(harness.identities.nextLineage, 3);
});

test("join token: of two that spend it, one succeeds, and the other changes nothing", () => {
  const harness = new Harness();
  harness.put({ token: { replacedVersion: 0, record: tokenOf(1) }, lineages: [] });
  const spend = (lineage: number) => ({
    token: {
      replacedVersion: 1,
      record: tokenOf(1, {
        version: 2,
        spent: { publicKey: new Uint8Array(32).fill(lineage), lineage },
      }),
    },
    lineages: [{ replacedVersion: 0, record: lineageOf(lineage) }],
  });
  assert.is(harness.put(spend(2)), "ok");
  assert.is(harness.put(spend(3)), "incarnation_mismatch");
  assert.is(harness.identities.token(hashOf(1))?.spent?.lineage, 2);
  assert.is(harness.identities.lineage(3), undefined);
  assert.is(harness.identities.lineageOf(lineageOf(2).subject)?.lineage, 2);
});

test("a lineage's number is given out once", () => {
  const harness = new Harness();
  const put = (lineage: number) => {
    return harness.put({ lineages: [{ replacedVersion: 0, record: lineageOf(lineage) }] });
  };
  assert.is(put(1), "incarnation_mismatch", "the development identity's");
  assert.is(put(5), "ok");
  assert.is(put(4), "incarnation_mismatch");
  assert.is(put(5), "incarnation_mismatch");
  assert.is(put(6), "ok");
});

test("a subject has one lineage that counts", () => {
  const harness = new Harness();
  const { subject } = lineageOf(2);
  assert.is(harness.put({ lineages: [{ replacedVersion: 0, record: lineageOf(2) }] }), "ok");
  const second = { replacedVersion: 0, record: lineageOf(3, { subject }) };
  assert.is(harness.put({ lineages: [second] }), "incarnation_mismatch", "two raced");
  const first = {
    replacedVersion: 1,
    record: lineageOf(2, { version: 2, stopped: "replaced" as const }),
  };
  assert.is(harness.put({ lineages: [second, first] }), "ok");
  assert.is(harness.identities.lineageOf(subject)?.lineage, 3);
});

test("revocations are told as they are applied, and all anew after an image", () => {
  const harness = new Harness();
  const told: string[] = [];
  const ban = { kind: BAN_KINDS.token, name: "t", reason: "", untilMs: 0 };
  harness.put({ lineages: [{ replacedVersion: 0, record: lineageOf(2) }] });
  harness.store.watchRevocations({
    banned: ({ name }) => void told.push(`banned ${name}`),
    lifted: ({ name }) => void told.push(`lifted ${name}`),
    stopped: ({ lineage, stopped }) => void told.push(`${stopped} ${lineage}`),
    granted: ({ tokenId }) => void told.push(`granted ${tokenId}`),
    replaced: (state) => void told.push(`all ${[...state.stoppedLineages()].length}`),
  });
  harness.apply(encodeBan(HEADER, { ...ban, lifted: false }));
  harness.apply(encodeBan(HEADER, { ...ban, lifted: true }));
  harness.put({
    lineages: [{
      replacedVersion: 1,
      record: lineageOf(2, { version: 2, stopped: "stolen" }),
    }],
  });
  const copy = new SystemStore();
  copy.loadImage(harness.store.writeImage());
  harness.store.replaceBy(copy);
  harness.apply(encodeBan(HEADER, { ...ban, lifted: false }));
  assert.equal(told, ["all 0", "banned t", "lifted t", "stolen 2", "all 1", "banned t"]);
});

test("join tokens have a limit, at which those long over make room", () => {
  const harness = new Harness();
  for (let number = 0; number < JOIN_TOKENS_MAX; number++) {
    harness.put({ token: { replacedVersion: 0, record: tokenOf(number) }, lineages: [] });
  }
  const one = { token: { replacedVersion: 0, record: tokenOf(-1) }, lineages: [] };
  assert.is(harness.put(one), "overloaded");
  assert.is(harness.put(one, 31 * 86_400), "ok");
  assert.is(harness.identities.token(hashOf(0)), undefined);
});

test("bans are put, lifted, and noted with whoever did it", () => {
  const harness = new Harness();
  const ban = { kind: BAN_KINDS.subject, name: "spiffe://t/x", reason: "stolen", untilMs: 0 };
  assert.is(harness.apply(encodeBan(HEADER, { ...ban, lifted: false })), "ok");
  const { writer, unixS } = HEADER;
  assert.equal(harness.identities.bans(), [{ ...ban, writer, unixS }]);
  assert.is(harness.apply(encodeBan(HEADER, { ...ban, lifted: true })), "ok");
  assert.equal(harness.identities.bans(), []);
  assert.is(harness.apply(encodeBan(HEADER, { ...ban, lifted: true })), "not_found");
  assert.is(harness.apply(encodeBan(HEADER, { ...ban, kind: 4, lifted: false })), "malformed");
  assert.is(harness.apply(encodeBan(HEADER, { ...ban, name: "", lifted: false })), "malformed");
  assert.equal(
    harness.audited.map(({ action, subject, detail, writer }) => [action, subject, detail, writer]),
    [
      [AUDIT_ACTIONS.ban, "spiffe://t/x", "stolen", 9],
      [AUDIT_ACTIONS.unban, "spiffe://t/x", "stolen", 9],
    ],
  );
});

test("limits on reads need their apply version, and an image has them", () => {
  const harness = new SystemHarness();
  const reads = [{ regions: ["eu"], labels: [{ key: "k", value: "v" }], domains: ["*.a.example"] }];
  const limited = { ...NO_GRANTS, reads };
  const version = READ_LIMITS_APPLY_VERSION;
  harness.put(1, version);
  harness.apply(encodeRaiseApplyVersion(HEADER, version - 1));
  const put = (change: Parameters<typeof encodeEnrolment>[1]) =>
    harness.apply(encodeEnrolment(HEADER, change));
  const lineages = [{ replacedVersion: 0, record: lineageOf(2, { grants: limited }) }];
  const token = { replacedVersion: 0, record: tokenOf(1, { grants: limited }) };
  assert.is(put({ lineages }), "malformed");
  assert.is(put({ token, lineages: [] }), "malformed");
  assert.is(harness.apply(encodeRaiseApplyVersion(HEADER, version)), "ok");
  assert.is(put({ token, lineages }), "ok");
  harness.reload();
  const { identities } = harness.state;
  assert.equal(identities.lineage(2)?.grants, limited);
  assert.equal(identities.token(hashOf(1))?.grants, limited);
});

test("bans and audit notes of capabilities need their apply version, and an image has them", () => {
  const harness = new SystemHarness();
  const ban = { kind: BAN_KINDS.capability, name: "c", reason: "", untilMs: 0, lifted: false };
  const note = { action: AUDIT_ACTIONS.capability, subject: "c", detail: "" };
  const version = CAPABILITIES_APPLY_VERSION;
  harness.put(1, version);
  assert.is(harness.apply(encodeRaiseApplyVersion(HEADER, version - 1)), "ok");
  assert.is(harness.apply(encodeBan(HEADER, ban)), "malformed");
  assert.is(harness.apply(encodeAuditNote(HEADER, note)), "malformed");
  assert.is(harness.apply(encodeRaiseApplyVersion(HEADER, version)), "ok");
  assert.is(harness.apply(encodeBan(HEADER, ban)), "ok");
  assert.is(harness.apply(encodeAuditNote(HEADER, note)), "ok");
  harness.reload();
  const { identities } = harness.state;
  assert.is(identities.banOf(BAN_KINDS.capability, "c", 0)?.name, "c");
  assert.is(identities.banOf(BAN_KINDS.token, "c", 0), undefined);
  assert.is(harness.apply(encodeBan(HEADER, { ...ban, lifted: true })), "ok");
  assert.is(harness.apply(encodeBan(HEADER, { ...ban, kind: 5 })), "malformed");
});

test("bans have a limit, at which ended ones make room", () => {
  const harness = new Harness();
  const put = (name: string, untilMs: number, unixS: number) => {
    const body = { kind: BAN_KINDS.token, name, reason: "", untilMs, lifted: false };
    return harness.apply(encodeBan({ ...HEADER, unixS }, body));
  };
  for (let at = 0; at < BANS_MAX; at++) put(`t${at}`, at === 0 ? 2_000_000 : 0, 1_000);
  assert.is(put("more", 0, 1_000), "overloaded");
  assert.is(put("more", 0, 3_000), "ok");
});

test("a document is put where the one that it replaces still stands", () => {
  const harness = new Harness();
  const put = (replacedVersion: number, version: number, name: number = DOCUMENTS.trustBundle) => {
    const bytes = Uint8Array.of(version);
    const body = { name, replacedVersion, version, bytes, detail: "" };
    return harness.apply(encodeDocument(HEADER, body));
  };
  assert.is(put(0, 1), "ok");
  assert.is(put(0, 2), "incarnation_mismatch");
  assert.is(put(1, 1), "malformed", "a version grows");
  assert.is(put(1, 2), "ok");
  assert.is(put(0, 1, 4), "malformed", "there is no such document");
  assert.equal(harness.identities.document(DOCUMENTS.trustBundle), {
    version: 2,
    bytes: Uint8Array.of(2),
  });
});

test("actions done elsewhere can be recorded, under a known action only", () => {
  const harness = new Harness();
  const note = { subject: "record x", detail: "by hand" };
  const removed = { ...note, action: AUDIT_ACTIONS.removeRecord };
  assert.is(harness.apply(encodeAuditNote(HEADER, removed)), "ok");
  assert.is(harness.apply(encodeAuditNote(HEADER, { ...note, action: 0 })), "malformed");
  assert.is(harness.apply(encodeAuditNote(HEADER, { ...note, action: 99 })), "malformed");
  assert.is(harness.identities.audit.count, 1);
});

test("a page of the audit log is no command", () => {
  const harness = new Harness();
  const page = { anchor: new Uint8Array(32), count: 0, entries: [] };
  assert.is(harness.apply(encodeAuditPage(HEADER, page)), "malformed");
});

test("an image gives the same state, and the same image again", () => {
  const harness = new Harness();
  harness.apply(encodeGenesis(HEADER, {
    clusterId: new Uint8Array(16).fill(1),
    hashKey: new Uint8Array(16).fill(2),
    partitionCount: 1_024,
    generation: 1,
    region: "eu",
  }));
  const audit = { action: "enrol", detail: "by token" } as const;
  for (let number = 2; number < 1_000; number++) {
    harness.apply(encodeEnrolment(HEADER, {
      token: { replacedVersion: 0, record: tokenOf(number) },
      lineages: [{ replacedVersion: 0, record: lineageOf(number) }],
    }, audit));
  }
  const ban = { kind: BAN_KINDS.lineage, name: "7", reason: "r", untilMs: 8, lifted: false };
  harness.apply(encodeBan(HEADER, ban));
  const document = { replacedVersion: 0, version: 4, bytes: Uint8Array.of(1, 2), detail: "d" };
  harness.apply(encodeDocument(HEADER, { ...document, name: DOCUMENTS.tokenKeys }));
  const image = [...harness.store.writeImage()].map((chunk) => chunk.slice());
  const other = new SystemStore();
  other.loadImage(image);
  assert.equal([...other.writeImage()], image);
  const { audit: restored } = other.identities;
  assert.is(restored.count, 1_000);
  assert.equal(verifyAudit(restored.anchor, restored.read(1, Infinity)), {
    ok: true,
    head: harness.identities.audit.head,
  });
  assert.equal(other.identities.lineage(5), lineageOf(5));
  assert.is(other.identities.nextLineage, 1_000);
  const taken = new SystemStore();
  taken.replaceBy(other);
  assert.equal(taken.identities.bans(), harness.identities.bans());
});

test.run();
