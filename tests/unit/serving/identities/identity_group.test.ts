/** IdentityGroup: what group 0 takes from other nodes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { GROUP_TIME_MS_MAX } from "../../../../src/base/limits.ts";
import { BAN_KINDS } from "../../../../src/record/ban_kind.ts";
import { encodeRemoveMember } from "../../../../src/record/command.ts";
import { AUDIT_ACTIONS } from "../../../../src/system/audit_log.ts";
import {
  DOCUMENTS,
  encodeAuditNote,
  encodeBan,
  encodeDocument,
} from "../../../../src/system/identity_codec.ts";
import type { IdentityAuthority } from "../../../../src/serving/identities/identity_authority.ts";
import { IdentityGroup } from "../../../../src/serving/identities/identity_group.ts";
import { keyHolders, nextKeyHolders } from "../../../../src/serving/identities/key_holders.ts";
import { generateSigningKey } from "../../../../identity/pki/ed25519.ts";
import type { TokenSigningKey } from "../../../../identity/tokens/token.ts";
import { planToBytes } from "../../../../identity/tokens/token_key_plan.ts";
import { keyIdOf, withKey } from "../../../../identity/tokens/token_keys.ts";
import { defined } from "../../../../src/base/assert.ts";
import { cryptoSettled, watchCrypto } from "../../../support/crypto_watch.ts";
import { codeOf } from "../../../support/refusal.ts";
import { RegistryHarness } from "../../../support/registry_harness.ts";

watchCrypto();

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
  const harness = await RegistryHarness.open({ settled: cryptoSettled });
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

test("proposeSystem takes documents only from nodes with the authority's keys", async () => {
  const { harness, group } = await openListed();
  const peer = await harness.peer();
  for (const name of Object.values(DOCUMENTS)) {
    const replacedVersion = group.state.document(name)?.version ?? 0;
    const document = { name, replacedVersion, version: replacedVersion + 1, detail: "" };
    const body = { ...document, bytes: listed([], 2) };
    const command = encodeDocument({ timeMs: 0, unixS: 0, writer: 0 }, body);
    const { code } = await peer.ask("proposeSystem", { command, proof: new Uint8Array(64) });
    assert.is(code, "permission_denied", `document ${name}`);
    assert.is(group.state.document(name)?.version ?? 0, replacedVersion);
  }
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
