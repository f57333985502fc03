/** The audit log: a chain that shows every change, and a window that can be checked on its own. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createHash } from "node:crypto";
import { auditEntryCodec } from "../../../schemas/gen/audit.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { AUDIT_ORIGIN, AuditLog, verifyAudit } from "../../../src/system/audit_log.ts";

const EVENT = { unixS: 7, writer: 3, action: "ban", subject: "spiffe://t/x", detail: "" } as const;

function filled(count: number, entriesMax = 100): AuditLog {
  const log = new AuditLog(entriesMax);
  for (let number = 1; number <= count; number++) {
    log.append({ ...EVENT, unixS: number, detail: `entry ${number}` });
  }
  return log;
}

test("audit log chains its entries by SHA-256", () => {
  const log = filled(3);
  const entries = log.read(1, 10);
  assert.is(entries.length, 3);
  const second = auditEntryCodec.decode(entries[1]!);
  const hash = createHash("sha256").update(entries[0]!).digest();
  assert.equal(second.previous, new Uint8Array(hash));
  assert.is(second.number, 2);
  assert.is(second.detail, "entry 2");
  assert.equal(verifyAudit(AUDIT_ORIGIN, entries), { ok: true, head: log.head });
});

test("verifyAudit finds every changed byte, a missing, a moved and an added entry", () => {
  const entries = filled(4).read(1, 10);
  for (let at = 0; at < 3; at++) {
    for (let byte = 0; byte < entries[at]!.length; byte++) {
      const changed = entries.map((entry) => entry.slice());
      changed[at]![byte]! ^= 1;
      assert.is(verifyAudit(AUDIT_ORIGIN, changed).ok, false, `byte ${byte} of entry ${at}`);
    }
  }
  const [first, second, third, fourth] = entries as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  assert.is(verifyAudit(AUDIT_ORIGIN, [first, third, fourth]).ok, false);
  assert.is(verifyAudit(AUDIT_ORIGIN, [first, third, second, fourth]).ok, false);
  assert.is(verifyAudit(AUDIT_ORIGIN, [first, second, second, third]).ok, false);
  assert.is(verifyAudit(AUDIT_ORIGIN, [second, third]).ok, false);
  assert.equal(verifyAudit(AUDIT_ORIGIN, [first, new Uint8Array(3)]), {
    ok: false,
    at: 1,
    reason: "it is not an entry",
  });
});

test("verifyAudit believes no later entry that claims to be the first", () => {
  const log = filled(2);
  const [, second] = log.read(1, 2);
  const forged = auditEntryCodec.encode({
    ...auditEntryCodec.decode(second!),
    previous: AUDIT_ORIGIN,
  });
  assert.is(verifyAudit(AUDIT_ORIGIN, [forged]).ok, false);
});

test("audit log keeps the newest entries, and the hash before them", () => {
  const log = filled(10, 4);
  assert.is(log.count, 10);
  const kept = log.read(1, 100);
  assert.equal(kept.map((entry) => auditEntryCodec.decode(entry).number), [7, 8, 9, 10]);
  assert.equal(verifyAudit(log.anchor, kept), { ok: true, head: log.head });
  assert.equal(log.read(9, 1).map((entry) => auditEntryCodec.decode(entry).number), [9]);
  assert.equal(log.read(11, 5), []);
  const all = filled(10).read(1, 100);
  assert.equal(kept, all.slice(6));
});

test("audit log goes on from what another kept", () => {
  const log = filled(10, 4);
  const other = new AuditLog(4);
  other.restore({ count: log.count, anchor: log.anchor, entries: log.read(1, 100) });
  log.append(EVENT);
  other.append(EVENT);
  assert.equal(other.head, log.head);
  assert.equal(other.read(1, 100), log.read(1, 100));
  assert.is(other.count, 11);
});

test("audit log refuses to go on from entries that do not follow each other", () => {
  const log = filled(3);
  const entries = log.read(1, 3);
  const refused = [
    { count: 3, anchor: AUDIT_ORIGIN, entries: entries.toReversed() },
    { count: 4, anchor: AUDIT_ORIGIN, entries },
    { count: 3, anchor: log.head, entries },
  ];
  for (const kept of refused) {
    assert.throws(() => new AuditLog().restore(kept), (error: unknown) => {
      return error instanceof RegistryError && error.code === "corrupt";
    });
  }
});

test.run();
