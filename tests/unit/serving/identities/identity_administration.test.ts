/** IdentityAdministration: a change in several steps is refused before its first one. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { developmentPeer } from "../../../../identity/enrolment/development_peer.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import type { Group } from "../../../../src/replication/group_interface.ts";
import { IdentityAdministration } from "../../../../src/serving/identities/identity_administration.ts";
import { IdentityGroup } from "../../../../src/serving/identities/identity_group.ts";
import type { IdentityLinks } from "../../../../src/serving/identities/identity_links.ts";
import { type SystemReply, SystemStore } from "../../../../src/system/system_store.ts";
import { SteppedWorld } from "../../../support/stepped_world.ts";

const LEADER = 2;

test("removeMember changes nothing at a node that does not lead group 0", async () => {
  const world = new SteppedWorld();
  const asked: string[] = [];
  const refusal = new RegistryError("not_leader", "Node 2 leads", { leaderHint: LEADER });
  const group = {
    isLeading: false,
    readPoint: () => undefined,
    notLeading: () => refusal,
    timeMs: () => 0,
    status: () => ({ leader: LEADER, appliedIndex: 0 }),
  } as unknown as Group<SystemReply>;
  const ask = (_node: number, name: string) => {
    asked.push(name);
    return Promise.resolve({ assigned: 0, appliedIndex: 0 });
  };
  const links = { call: ask, isConnected: () => true } as unknown as IdentityLinks;
  const identities = new IdentityGroup({ ...world, group, store: new SystemStore(), links });
  identities.keylessScope = { trustDomain: "registry.example", region: "eu" };
  const administration = new IdentityAdministration(identities, world);
  const peer = developmentPeer({ region: "eu", revoked: new AbortController().signal });
  const code = await administration.removeMember(3, peer, 5_000).then(
    () => "ok",
    (error) => error.code,
  );
  assert.is(code, "not_leader");
  assert.equal(asked, []);
});

test.run();
