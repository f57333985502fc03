/** Capabilities at a node with real keys, and between nodes of which not all have the root key. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { attenuate } from "../../../../identity/capabilities/capability.ts";
import { type Caveat, encodeCaveat } from "../../../../identity/capabilities/caveat.ts";
import { type RootKey, rootKeyOf } from "../../../../identity/capabilities/root_key.ts";
import { BanList } from "../../../../identity/trust/ban_list.ts";
import { AUDIT_ACTIONS, auditEntryCodec } from "../../../../schemas/gen/audit.ts";
import { concatBytes } from "../../../../src/base/bytes.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { CAPABILITY_LIFE_MS_MAX } from "../../../../src/base/limits.ts";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import { CapabilityService } from "../../../../src/serving/identities/capability_service.ts";
import type { IdentityGroup } from "../../../../src/serving/identities/identity_group.ts";
import { CAPABILITIES_APPLY_VERSION } from "../../../../src/system/identity_codec.ts";
import { CertifiedRegistry } from "../../../support/certified_registry.ts";
import { inTemporaryFolder } from "../../../support/temporary_folder.ts";

const MINUTE_MS = 60_000;
const CONTROLLER = "93fec554-3756-5eb2-b890-56a0bac8eab3";
const caveats = (...list: Caveat[]) => concatBytes(list.map(encodeCaveat));
const PROPOSE: Caveat = { kind: "scope", any: ["registry:propose"] };

async function codeOf(run: Promise<unknown>): Promise<string> {
  try {
    await run;
    return "ok";
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
}

function inNode(use: (node: CertifiedRegistry) => Promise<void>): Promise<void> {
  return inTemporaryFolder(async (folder) => {
    const node = await CertifiedRegistry.open(folder);
    try {
      await node.stateVersion();
      await use(node);
    } finally {
      await node.close();
    }
  });
}

test("a controller mints, the node verifies and audits, and a ban by id refuses", () =>
  inNode(async (node) => {
    const { world, registry: { identities } } = node;
    const kept = await world.wait(node.join("controller", CONTROLLER));
    const client = await world.wait(node.connect(kept));
    const order = { caveats: [PROPOSE], lifeMs: MINUTE_MS };
    const text = await world.wait(client.identities.mintCapability(order));
    const { capabilityId, expiresAtMs } = await world.wait(
      client.identities.verifyCapability(text),
    );
    assert.ok(expiresAtMs <= world.unixMs() + MINUTE_MS && expiresAtMs > world.unixMs() + 50_000);
    const { audit } = identities.group.state;
    const entry = auditEntryCodec.decode(audit.read(audit.count, 1)[0]!);
    assert.equal([entry.action, entry.subject], [AUDIT_ACTIONS.capability, capabilityId]);
    assert.match(entry.detail, "scope registry:propose, until 2");

    const narrow = attenuate(text, [{ kind: "method", any: ["GET"] }]);
    const { unchecked } = (await world.wait(identities.capabilities.verify(narrow, true)))
      .handOver();
    assert.equal(unchecked, caveats({ kind: "method", any: ["GET"] }));
    const ban = { kind: "capability", name: capabilityId } as const;
    assert.is((await world.wait(client.identities.ban(ban))).known, false);
    for (const one of [text, narrow]) {
      const refused = client.identities.verifyCapability(one);
      assert.match(await world.wait(refused.then(() => "", String)), /refused: banned/);
    }
    await world.wait(client.identities.unban(ban));
    await world.wait(client.identities.verifyCapability(text));
    world.wallOffsetMs += MINUTE_MS;
    assert.is(
      await world.wait(codeOf(identities.capabilities.verify(text, true))),
      "unauthenticated",
    );
    await world.wait(client.close());
    assert.equal(node.troubles, []);
  }));

test("only controllers mint, and only what a verifier accepts", () =>
  inNode(async (node) => {
    const { world } = node;
    const order = { caveats: [PROPOSE], lifeMs: MINUTE_MS };
    const clientOf = async (role: "controller" | "gateway", digit: number) => {
      const kept = await world.wait(node.join(role, CONTROLLER.slice(0, -1) + digit));
      return await world.wait(node.connect(kept));
    };
    const gateway = await clientOf("gateway", 1);
    const refused = gateway.identities.mintCapability(order);
    assert.is(await world.wait(codeOf(refused)), "permission_denied");
    const controller = await clientOf("controller", 2);
    const mistakes = [
      { lifeMs: 999 },
      { lifeMs: CAPABILITY_LIFE_MS_MAX + 1 },
      { caveats: [] },
      { caveats: [{ kind: "method", any: ["GET"] }] as const },
    ];
    for (const mistake of mistakes) {
      const asked = controller.identities.mintCapability({ ...order, ...mistake });
      assert.is(await world.wait(codeOf(asked)), "invalid_argument");
    }
    await world.wait(Promise.all([gateway.close(), controller.close()]));
  }));

test("a new root key signs within a minute, and the old one verifies until its file is removed", () =>
  inNode(async (node) => {
    const { world } = node;
    const { capabilities } = node.registry.identities;
    const peer = { lineage: 0 } as Parameters<typeof capabilities.mint>[1];
    const mint = () =>
      world.wait(capabilities.mint(
        { caveats: caveats(PROPOSE), lifeMs: 60 * MINUTE_MS },
        peer,
        world.nowMs() + MINUTE_MS,
      ));
    const keyOf = async (text: string) => {
      await world.wait(capabilities.verify(text, true));
      return text.slice(0, 20);
    };
    const old = await mint();
    await node.rotate("capability-key");
    assert.is(await keyOf(await mint()), await keyOf(old));
    await world.pass(2 * MINUTE_MS);
    const next = await mint();
    assert.is.not(await keyOf(next), await keyOf(old));
    Deno.removeSync(`${node.authority}/capability-key-1.key`);
    await world.pass(2 * MINUTE_MS);
    assert.is(await world.wait(codeOf(capabilities.verify(old, true))), "unauthenticated");
    await keyOf(next);
    Deno.removeSync(`${node.authority}/capability-key-2.key`);
    await world.pass(2 * MINUTE_MS);
    assert.is(await codeOf(mint()), "invalid_configuration");
    assert.equal(node.troubles, []);
  }));

/** A node of several, as far as its capability service sees it. */
class FakeNode {
  readonly bans = new BanList();
  readonly service: CapabilityService;
  asked = 0;
  /** By its wall clock. */
  nowMs = 1_800_000_000_000;
  /** Called before it asks another node. */
  onAsk = () => {};

  constructor(
    number: number,
    rootKeys: readonly RootKey[],
    nodes: Map<number, FakeNode>,
    applyVersion = CAPABILITIES_APPLY_VERSION,
  ) {
    nodes.set(number, this);
    const group = {
      rootKeys,
      get connectedKeyHolders() {
        return [...nodes.keys()].filter((other) => other !== number);
      },
      askNode: async (node: number, _name: string, { capability }: { capability: string }) => {
        this.onAsk();
        const other = nodes.get(node)!;
        other.asked++;
        await other.service.verify(capability, false);
      },
      current: () => Promise.resolve(),
      note: () => Promise.resolve(),
      store: { state: { versions: { applyVersion } } },
    };
    this.service = new CapabilityService(group as unknown as IdentityGroup, {
      wall: { unixMs: () => this.nowMs },
      entropy: new SeededEntropy(number),
      bans: this.bans,
    });
  }

  mint(): Promise<string> {
    const peer = { lineage: 1 } as Parameters<CapabilityService["mint"]>[1];
    return this.service.mint({ caveats: caveats(PROPOSE), lifeMs: MINUTE_MS }, peer, 0);
  }
}

test("a node without the root key asks nodes until one has it, and decides bans itself", async () => {
  const nodes = new Map<number, FakeNode>();
  const key = (fill: number) => rootKeyOf(new Uint8Array(32).fill(fill));
  const none = new FakeNode(1, [], nodes);
  const old = new FakeNode(2, [key(1)], nodes);
  const both = new FakeNode(3, [key(1), key(2)], nodes);
  const text = await both.mint();
  const { value: { capabilityId } } = (await none.service.verify(text, true)).handOver();
  assert.equal([old.asked, both.asked], [1, 1]);
  await old.service.verify(text, true);
  assert.is(await codeOf(none.service.verify(text, false)), "not_found");
  none.bans.ban({ kind: "capability", name: capabilityId, reason: "" });
  assert.is(await codeOf(none.service.verify(text, true)), "unauthenticated");
  await old.service.verify(text, true);

  const forged = text.slice(0, -2) + (text.endsWith("AA") ? "BA" : "AA");
  const asked = both.asked;
  assert.is(await codeOf(none.service.verify(forged, true)), "unauthenticated");
  assert.is(both.asked, asked + 1);
  const foreign = await new FakeNode(9, [key(3)], new Map()).mint();
  assert.match(await none.service.verify(foreign, true).then(() => "", String), "unknown_key");
});

test("a capability that ends while another node is asked is refused", async () => {
  const nodes = new Map<number, FakeNode>();
  const none = new FakeNode(1, [], nodes);
  const text = await new FakeNode(2, [rootKeyOf(new Uint8Array(32))], nodes).mint();
  none.onAsk = () => none.nowMs += MINUTE_MS;
  assert.match(await none.service.verify(text, true).then(() => "", String), "expired");
});

test("capabilities are minted once all nodes know them", async () => {
  const early = new FakeNode(1, [rootKeyOf(new Uint8Array(32))], new Map(), 7);
  assert.is(await codeOf(early.mint()), "overloaded");
});

test.run();
