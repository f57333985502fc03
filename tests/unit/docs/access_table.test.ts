/**
 * Each cell of the table of access, role × operation × own or other: written here by hand from the
 * rules as people state them, and compared with the results of the functions.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  type AccessRow,
  credentialRows,
  operationRows,
  ROLES,
  ruleRows,
  scopeRows,
} from "../../../docs/access_table.ts";
import { OPERATION_LIST } from "../../../src/wire/operations/mod.ts";

/**
 * The permitted roles, by their first letters: agent, gateway, proxy, controller, node, front, capability (k)
 * with every scope, region, development, unauthenticated client.
 */
type Expected = Readonly<Record<string, string>>;

const AGENT_WRITES: Expected = {
  "own agent, domain and gateway granted": "a_______d_",
  "own agent, another domain": "________d_",
  "own agent, another gateway": "________d_",
  "own agent, another region": "________d_",
  "other agent, own gateway": "________d_",
  "other agent": "________d_",
};
const OWNED_GATEWAYS: Expected = { "own gateway": "_g______d_", "other gateway": "________d_" };
const GATEWAY_WRITES: Expected = {
  "own gateway, domain granted": "_g______d_",
  "other gateway": "________d_",
  "own gateway, another domain": "________d_",
  "own gateway, another region": "________d_",
};
const AGENT_OWNED: Expected = {
  "own agent": "a_______d_",
  "agent attached": "________d_",
  "other agent": "________d_",
};

const WATCHED: Expected = {
  "own agent": "agpc__k_d_",
  "agent attached": "_gpc__k_d_",
  "other agent": "_gpc__k_d_",
  "own gateway": "_gpc__k_d_",
  "gateway granted": "agpc__k_d_",
  "other gateway": "_gpc__k_d_",
  any: "_gpc__k_d_",
};

const OPERATION_CELLS: Readonly<Record<string, Expected>> = {
  getAgent: {
    "own agent": "agpc__k_d_",
    "agent attached": "_gpc__k_d_",
    "other agent": "_gpc__k_d_",
  },
  getGateway: {
    "own gateway": "_gpc__k_d_",
    "gateway granted": "agpc__k_d_",
    "other gateway": "_gpc__k_d_",
  },
  resolveAgent: { any: "_gpc__k_d_" },
  resolveAgents: { any: "_gpc__k_d_" },
  resolveGateways: { any: "_gpc__k_d_" },
  listAgentsByRegion: { any: "_gpc__k_d_" },
  listGatewaysByRegion: { any: "_gpc__k_d_" },
  registerAgent: AGENT_WRITES,
  registerGateway: GATEWAY_WRITES,
  registerMany: { ...AGENT_WRITES, ...GATEWAY_WRITES },
  renew: {
    "own agent": "a_______d_",
    "agent attached": "_g______d_",
    "other agent": "________d_",
    ...OWNED_GATEWAYS,
  },
  deregisterAgent: AGENT_OWNED,
  deregisterGateway: OWNED_GATEWAYS,
  report: { ...AGENT_OWNED, ...OWNED_GATEWAYS },
  status: { any: "agpcnfk_d_" },
  getRingMap: { any: "agpcnfk_d_" },
  createJoinToken: { any: "___c____d_" },
  enrol: { any: "agpcnf__ds" },
  renewIdentity: { any: "agpcnf__ds" },
  mintToken: { any: "agpcn___d_" },
  getTokenKeys: { any: "agpcnfk_d_" },
  getTrustBundle: { any: "agpcnfk_d_" },
  ban: { any: "___c____d_" },
  unban: { any: "___c____d_" },
  readAudit: { any: "___c____d_" },
  listBans: { any: "___c____d_" },
  getLineage: { any: "_gpc__k_d_" },
  whoAmI: { any: "agpcnfkrds" },
  removeRecord: { any: "___c____d_" },
  useToken: { any: "agpcn___d_" },
  issueToken: { any: "___c____d_" },
  mintCapability: { any: "___c____d_" },
  verifyCapability: { any: "agpcn___d_" },
  removeMember: { any: "___c____d_" },
  depart: { any: "___c____d_" },
  stay: { any: "___c____d_" },
  listDepartures: { any: "agpcnfk_d_" },
  transferLeader: { any: "___c____d_" },
  rebalance: { any: "___c____d_" },
  pauseMoves: { any: "___c____d_" },
  upgradeStatus: { any: "agpcnfk_d_" },
  readImage: { any: "___c____d_" },
  steerExpiry: { any: "___c____d_" },
  drawPermits: { any: "____n___d_" },
  expiryStatus: { any: "agpcnfk_d_" },
  joinCluster: { any: "____n___d_" },
  clusterStatus: { any: "agpcnfk_d_" },
  partitionStatus: { any: "agpcnfk_d_" },
  reportPlacement: { any: "____n___d_" },
  claimDomain: { any: "____n___d_" },
  revokeClaim: { any: "____n___d_" },
  confirmClaim: { any: "____n___d_" },
  releaseDomain: { any: "____n___d_" },
  removeAgents: { any: "____n___d_" },
  noteRemoval: { any: "____n___d_" },
  logMirrors: { any: "____n___d_" },
  readMirrors: { any: "____n___d_" },
  pullerStates: { any: "____n___d_" },
  proposeSystem: { any: "____n___d_" },
  systemReadPoint: { any: "____n___d_" },
  enrolNode: { any: "agpcnf__ds" },
  signServer: { any: "____n___d_" },
  watch: WATCHED,
  listAndWatch: WATCHED,
  cancelWatch: { any: "agpcn_krd_" },
  askProgress: { any: "agpcn_krd_" },
  regionFeed: { any: "_______rd_" },
  regionStatus: { any: "_______rd_" },
  regionGovernedLog: { any: "_______rd_" },
  addRegion: { any: "___c____d_" },
  setRegion: { any: "___c____d_" },
  removeRegion: { any: "___c____d_" },
  listRegions: { any: "agpcnfk_d_" },
  regionServers: { any: "agpcnfk_d_" },
  acceptGeneration: { any: "___c____d_" },
  initGovernance: { any: "___c____d_" },
  propose: { any: "___c__k_d_" },
  signProposal: { any: "___c__k_d_" },
  applyProposal: { any: "___c__k_d_" },
  getProposal: { any: "___c__k_d_" },
  governanceStatus: { any: "agpcn_k_ds" },
  readGovernedLog: { any: "agpcn_k_ds" },
  governedBundle: { any: "agpcn_k_ds" },
  governedCheckpoint: { any: "agpcn_k_ds" },
  signCheckpoint: { any: "____n___d_" },
  readGovernanceAudit: { any: "___c____d_" },
  mirrorGovernance: { any: "___c____d_" },
  openDelegation: { any: "_____f__d_" },
  closeDelegation: { any: "_____f__d_" },
};

/** Records that name their owner, a gateway, an agent, or the fronts together. */
const ownedBy = (name: string, owners: string): Expected => ({
  [`own ${name}`]: owners,
  [`${name} of the fronts`]: "_____f__d_",
  [`other ${name}`]: "________d_",
});
const DISCOVERED: Expected = { any: "agpc_fk_d_" };
const LOCATED: Expected = { any: "_gpc_fk_d_" };
const MAPS_CELLS: Readonly<Record<string, Expected>> = {
  registerMapsGateway: ownedBy("mapsGateway", "_g______d_"),
  registerMapsAgent: {
    ...ownedBy("mapsAgent", "a_______d_"),
    ...{
      "own mapsAgent, domain not granted": "________d_",
      "mapsAgent of the fronts, domain not granted": "_____f__d_",
      "other mapsAgent, domain not granted": "________d_",
    },
  },
  registerMapsEndpoint: ownedBy("mapsEndpoint", "_g______d_"),
  getMapsGateway: DISCOVERED,
  getMapsAgent: DISCOVERED,
  bestMapsGateways: DISCOVERED,
  listMapsGateways: DISCOVERED,
  listMapsAgents: DISCOVERED,
  registerMapsSeeder: ownedBy("mapsSeeder", "________d_"),
  listMapsSeeders: DISCOVERED,
};
const RELAY_CELLS: Readonly<Record<string, Expected>> = {
  registerRelay: ownedBy("relay", "_g______d_"),
  heartbeatRelay: ownedBy("relay", "_g______d_"),
  placeAgent: ownedBy("placement", "_g______d_"),
  heartbeatAgent: ownedBy("placement", "_g______d_"),
  getPlacement: LOCATED,
  getRelay: LOCATED,
  listRelays: LOCATED,
  listPlacements: LOCATED,
  findRelay: { any: "____n___d_" },
};

const PINNED_RULES: Readonly<Record<string, Expected>> = {
  inspect: { "state of the cluster": "agpcnfk_d_" },
  govern: { "the governed plane": "agpcn_k_ds" },
  propose: { "proposals of descriptors": "___c__k_d_" },
  apply: { "proposals of descriptors": "___c__k_d_" },
  read: { "any record": "_gpc__k_d_" },
  locate: { "any relay or placement": "_gpc_fk_d_" },
  discover: { "any record of the Maps protocol": "agpc_fk_d_" },
  write: { "own record": "ag______d_" },
  renew: { "own record": "ag______d_" },
  administer: { "members, placement, bans, keys": "___c____d_" },
  backup: { "all that the cluster stores": "___c____d_" },
  peer: { "traffic between nodes": "____n___d_" },
  follow: { "all records of global scope, for another region": "_______rd_" },
  watching: { "the own watches": "agpcn_krd_" },
  self: { "the own identity": "agpcnfkrds" },
  join: { "a certificate, by join token or previous certificate": "agpcnf__ds" },
  token: { "a token bound to the own certificate": "agpcn___d_" },
  delegate: { "delegations, by which a front acts for its callers": "_____f__d_" },
};
const UNPINNED_RULES: Readonly<Record<string, Expected>> = {
  ...PINNED_RULES,
  propose: { "proposals of descriptors": "________d_" },
  apply: { "proposals of descriptors": "________d_" },
  write: { "own record": "________d_" },
  renew: { "own record": "________d_" },
  administer: { "members, placement, bans, keys": "________d_" },
  backup: { "all that the cluster stores": "________d_" },
  peer: { "traffic between nodes": "________d_" },
  follow: { "all records of global scope, for another region": "________d_" },
  token: { "a token bound to the own certificate": "________d_" },
  delegate: { "delegations, by which a front acts for its callers": "________d_" },
};

const SHOWN: Expected = {
  "own agent": "a_______d_",
  "agent attached": "_g______d_",
  "other agent": "________d_",
  "own gateway": "_g______d_",
  "other gateway": "________d_",
};
const everywhere = (roles: string): Expected =>
  Object.fromEntries(Object.keys(SHOWN).map((record) => [record, roles]));
const CREDENTIAL_CELLS: Readonly<Record<string, Expected>> = {
  "without the grant": SHOWN,
  "with the grant": everywhere("agpcnf__d_"),
  "with the grant, not pinned": everywhere("________d_"),
};

/** Registers a test for each cell, and one that no cell is missing. */
function testCells(
  name: string,
  rows: readonly AccessRow[],
  expected: Readonly<Record<string, Expected>>,
): void {
  for (const { what, record, allowed } of rows) {
    const roles = expected[what]?.[record];
    ROLES.forEach((role, column) => {
      const may = roles?.[column] !== "_";
      test(`${name} ${what}, ${record}: ${role} ${may ? "may" : "may not"}`, () => {
        assert.is(roles?.length, ROLES.length, "The cell is written down");
        assert.is(allowed.includes(role), may);
      });
    });
  }
  test(`${name}: each cell that is written down is there`, () => {
    const written = Object.entries(expected).flatMap(([what, records]) =>
      Object.keys(records).map((record) => `${what}, ${record}`)
    );
    assert.equal(rows.map(({ what, record }) => `${what}, ${record}`).sort(), written.sort());
  });
}

testCells("operation", operationRows(), { ...OPERATION_CELLS, ...MAPS_CELLS, ...RELAY_CELLS });
testCells("pinned rule", ruleRows(true), PINNED_RULES);
testCells("unpinned rule", ruleRows(false), UNPINNED_RULES);
testCells("credential hash", credentialRows(), CREDENTIAL_CELLS);

test("each scope of capabilities permits what it says", () => {
  const scopes = Object.fromEntries(
    scopeRows().map(({ scope, operations }) => [scope, operations]),
  );
  assert.equal(scopes["registry:propose"], [
    ...["propose", "signProposal", "getProposal", "whoAmI"],
  ]);
  assert.equal(scopes["registry:apply"], ["applyProposal", "whoAmI"]);
  assert.equal(scopes["registry:read"], [
    "governanceStatus",
    "readGovernedLog",
    "governedBundle",
    "governedCheckpoint",
    "whoAmI",
  ]);
  assert.ok(scopes["records:read"]!.includes("watch"));
  assert.ok(!scopes["records:read"]!.includes("clusterStatus"));
  assert.ok(scopes["status:read"]!.includes("clusterStatus"));
  assert.ok(!scopes["status:read"]!.includes("getAgent"));
});

test("operationRows names every operation", () => {
  const named = new Set(operationRows().map(({ what }) => what));
  assert.equal([...named], OPERATION_LIST.map(({ name }) => name));
});

test.run();
