/** IdentityGroup: what group 0 takes from other nodes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { GROUP_TIME_MS_MAX } from "../../../../src/base/limits.ts";
import { BAN_KINDS } from "../../../../schemas/gen/wire.ts";
import { encodeRemoveMember } from "../../../../src/record/command.ts";
import { AUDIT_ACTIONS, auditEntryCodec } from "../../../../schemas/gen/audit.ts";
import { DOCUMENTS } from "../../../../schemas/gen/identity.ts";
import {
  encodeAuditNote,
  encodeBan,
  encodeDocument,
  encodeEnrolment,
  encodeGrant,
} from "../../../../src/system/identity_codec.ts";
import type { IdentityAuthority } from "../../../../src/serving/identities/identity_authority.ts";
import { IdentityGroup } from "../../../../src/serving/identities/identity_group.ts";
import { keyHolders, nextKeyHolders } from "../../../../src/serving/identities/key_holders.ts";
import { generateSigningKey } from "../../../../identity/pki/ed25519.ts";
import type { TokenSigningKey } from "../../../../identity/tokens/token.ts";
import { planToBytes } from "../../../../identity/tokens/token_key_plan.ts";
import { keyIdOf, withKey } from "../../../../identity/tokens/token_keys.ts";
import { decideUse } from "../../../../identity/enrolment/enrolment.ts";
import { defined } from "../../../../src/base/assert.ts";
import { NO_GRANTS } from "../../../../src/base/peer.ts";
import type { Lineage } from "../../../../src/system/enrolment_records.ts";
import { encodeAdmitMember } from "../../../../src/system/members/member_state.ts";
import { codeOf } from "../../../support/refusal.ts";
import { RegistryHarness } from "../../../support/registry_harness.ts";

const NO_PROOF = new Uint8Array(0);

test("IdentityGroup.proposeHere does not take another node's time for that of group 0", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const { group, store } = harness.registry.groups.system;
  const note = { action: AUDIT_ACTIONS.removeRecord, subject: "agent 1", detail: "" };
  const command = encodeAuditNote({ timeMs: GROUP_TIME_MS_MAX, unixS: 0, writer: 0 }, note);
  await peer.must("proposeSystem", { command, proof: NO_PROOF });
  assert.is(store.identities.audit.count, 1, "the note is logged");
  assert.ok(store.timeMs <= group.timeMs());
  assert.ok(group.timeMs() <= harness.world.nowMs(), `group time is ${group.timeMs()}`);
  const entry = auditEntryCodec.decode(defined(store.identities.audit.read(1, 1)[0], "It is kept"));
  assert.is(
    entry.unixS,
    Math.floor(harness.world.unixMs() / 1_000),
    "the leader's time is audited",
  );
});

test("proposeSystem takes neither bans nor removals of members from other nodes", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const header = { timeMs: 0, unixS: 0, writer: 0 };
  const ban = { kind: BAN_KINDS.lineage, name: "7", reason: "", untilMs: 0, lifted: false };
  const commands = [
    encodeBan(header, { ...ban, detail: "" }),
    encodeRemoveMember(header, { nodeId: 1, detail: "" }),
  ];
  for (const command of commands) {
    const { code } = await peer.ask("proposeSystem", { command, proof: NO_PROOF });
    assert.is(code, "invalid_argument");
  }
});

async function tokenKey(harness: RegistryHarness): Promise<TokenSigningKey> {
  const { key } = await generateSigningKey(harness.world.entropy);
  return { keyId: keyIdOf(key.verifying.bytes), key };
}

/** Opens a registry whose group 0 has the plan of a token key and lists node 1 as its holder. */
async function openListed() {
  const harness = await RegistryHarness.open();
  const { world, registry: { identities: { group } } } = harness;
  const held = await tokenKey(harness);
  const plan = withKey([], held.key.verifying.bytes, world.unixMs());
  await world.wait(group.putDocument("tokenKeys", planToBytes(plan), ""));
  await world.wait(group.putDocument("keyHolders", listed([], 1), ""));
  return { harness, group, held };
}

function listed(holders: readonly number[], node: number): Uint8Array {
  return defined(nextKeyHolders(holders, node, true), "It was not listed");
}

const HEADER = { timeMs: 0, unixS: 0, writer: 0 };
const SUBJECT = "spiffe://registry.example/region/eu-1/agent/11111111-1111-4111-8111-111111111111";

function lineage(changes: Partial<Lineage> = {}): Lineage {
  const issuerKeyId = new Uint8Array(20);
  const publicKey = new Uint8Array(32).fill(7);
  const latest = { generation: 1, publicKey, notBeforeMs: 0, notAfterMs: 9_000_000, issuerKeyId };
  const named = { lineage: 2, version: 1, subject: SUBJECT, grants: NO_GRANTS };
  return { ...named, latest, latestUsed: false, ...changes };
}

test("proposeSystem takes what decides about identities only from nodes with the authority's keys", async () => {
  const { harness, group } = await openListed();
  const { world } = harness;
  const issued = { lineages: [{ replacedVersion: 0, record: lineage() }] };
  const soonMs = () => world.nowMs() + 1_000;
  await world.wait(group.propose((header) => encodeEnrolment(header, issued), 0, soonMs()));
  const peer = await harness.peer();
  const ask = async (command: Uint8Array) =>
    (await peer.ask("proposeSystem", { command, proof: new Uint8Array(64) })).code;
  const record = {
    ...{ hash: new Uint8Array(32), version: 1, subject: SUBJECT },
    ...{ grants: NO_GRANTS, expiresAtMs: 9_000_000 },
  };
  const stopped = lineage({ version: 2, latestUsed: true, stopped: "banned" });
  const member = { nodeId: 0, folderId: new Uint8Array(16).fill(3), zone: "", host: "" };
  const commands = {
    document: encodeDocument(HEADER, {
      ...{ name: DOCUMENTS.keyHolders, replacedVersion: 1, version: 2, detail: "" },
      bytes: listed([1], 2),
    }),
    token: encodeEnrolment(HEADER, { token: { replacedVersion: 0, record }, lineages: [] }),
    stop: encodeEnrolment(HEADER, { lineages: [{ replacedVersion: 1, record: stopped }] }),
    grant: encodeGrant(HEADER, {
      ...{ tokenId: "t", lineage: 2, subject: SUBJECT, grants: NO_GRANTS, untilMs: 9_000_000 },
    }),
    member: encodeAdmitMember(HEADER, { ...member, applyVersionMax: 1 }),
  };
  for (const [what, command] of Object.entries(commands)) {
    assert.is(await ask(command), "permission_denied", what);
  }
  assert.equal(keyHolders(group.state), [1]);
  assert.is(group.state.lineage(2)?.stopped, undefined);
  const use = defined(decideUse(lineage(), 1), "The latest was not used yet");
  assert.is(await ask(encodeEnrolment(HEADER, use)), "ok");
  assert.is(group.state.lineage(2)?.latestUsed, true);
});

test("IdentityGroup.propose proves the authority's keys, so that group 0 lists another node", async () => {
  const { harness, group, held } = await openListed();
  const { world } = harness;
  /** Puts the list with node 2 as a follower with these token keys does. */
  const put = async (tokenKeys: readonly TokenSigningKey[]) => {
    const follower = new IdentityGroup({
      group: { status: () => ({ leader: 1 }), timeMs: () => 0, readPoint: () => ({}) } as never,
      store: group.store,
      ...world,
      monotonic: world,
      wall: world,
      scheduler: world,
      links: {
        isConnected: () => true,
        call: async (_node: number, name: string, body: never) => {
          const soonMs = world.nowMs() + 1_000;
          if (name !== "proposeSystem") return { appliedIndex: 0 };
          return { assigned: await group.proposeFor(2, body, soonMs) ?? 0 };
        },
      } as never,
    });
    follower.knownAuthority = { tokenKeys } as unknown as IdentityAuthority;
    await follower.putDocument("keyHolders", listed(keyHolders(group.state), 2), "");
  };
  const other = await tokenKey(harness);
  assert.is(await codeOf(world.wait(put([other]))), "permission_denied");
  assert.equal(keyHolders(group.state), [1]);
  await world.wait(put([held, other]));
  assert.equal(keyHolders(group.state), [1, 2]);
});

test.run();
