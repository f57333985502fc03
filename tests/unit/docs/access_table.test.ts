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
} from "../../../docs/access_table.ts";
import { OPERATION_LIST } from "../../../src/wire/operations/mod.ts";

/**
 * The permitted roles, by their first letters: agent, gateway, proxy, controller, node, front, region,
 * development, unauthenticated client.
 */
type Expected = Readonly<Record<string, string>>;

const AGENT_WRITES: Expected = {
  "own agent, domain and gateway granted": "a______d_",
  "own agent, another domain": "_______d_",
  "own agent, another gateway": "_______d_",
  "own agent, another region": "_______d_",
  "other agent, own gateway": "_______d_",
  "other agent": "_______d_",
};
const OWNED_GATEWAYS: Expected = { "own gateway": "_g_____d_", "other gateway": "_______d_" };
const GATEWAY_WRITES: Expected = {
  "own gateway, domain granted": "_g_____d_",
  "other gateway": "_______d_",
  "own gateway, another domain": "_______d_",
  "own gateway, another region": "_______d_",
};
const AGENT_OWNED: Expected = {
  "own agent": "a______d_",
  "agent attached": "_______d_",
  "other agent": "_______d_",
};

const WATCHED: Expected = {
  "own agent": "agpc___d_",
  "agent attached": "_gpc___d_",
  "other agent": "_gpc___d_",
  "own gateway": "_gpc___d_",
  "gateway granted": "agpc___d_",
  "other gateway": "_gpc___d_",
  any: "_gpc___d_",
};

const OPERATION_CELLS: Readonly<Record<string, Expected>> = {
  getAgent: { "own agent": "agpc___d_", "agent attached": "_gpc___d_", "other agent": "_gpc___d_" },
  getGateway: {
    "own gateway": "_gpc___d_",
    "gateway granted": "agpc___d_",
    "other gateway": "_gpc___d_",
  },
  resolveAgent: { any: "_gpc___d_" },
  resolveAgents: { any: "_gpc___d_" },
  resolveGateways: { any: "_gpc___d_" },
  listAgentsByRegion: { any: "_gpc___d_" },
  listGatewaysByRegion: { any: "_gpc___d_" },
  registerAgent: AGENT_WRITES,
  registerGateway: GATEWAY_WRITES,
  registerMany: { ...AGENT_WRITES, ...GATEWAY_WRITES },
  renew: {
    "own agent": "a______d_",
    "agent attached": "_g_____d_",
    "other agent": "_______d_",
    ...OWNED_GATEWAYS,
  },
  deregisterAgent: AGENT_OWNED,
  deregisterGateway: OWNED_GATEWAYS,
  report: { ...AGENT_OWNED, ...OWNED_GATEWAYS },
  status: { any: "agpcnf_d_" },
  getRingMap: { any: "agpcnf_d_" },
  createJoinToken: { any: "___c___d_" },
  enrol: { any: "agpcnf_ds" },
  renewIdentity: { any: "agpcnf_ds" },
  mintToken: { any: "agpcn__d_" },
  getTokenKeys: { any: "agpcnf_d_" },
  getTrustBundle: { any: "agpcnf_d_" },
  ban: { any: "___c___d_" },
  unban: { any: "___c___d_" },
  readAudit: { any: "___c___d_" },
  listBans: { any: "___c___d_" },
  getLineage: { any: "_gpc___d_" },
  removeRecord: { any: "___c___d_" },
  useToken: { any: "agpcn__d_" },
  issueToken: { any: "___c___d_" },
  mintCapability: { any: "___c___d_" },
  verifyCapability: { any: "agpcn__d_" },
  removeMember: { any: "___c___d_" },
  joinCluster: { any: "____n__d_" },
  clusterStatus: { any: "agpcnf_d_" },
  partitionStatus: { any: "agpcnf_d_" },
  reportPlacement: { any: "____n__d_" },
  claimDomain: { any: "____n__d_" },
  revokeClaim: { any: "____n__d_" },
  confirmClaim: { any: "____n__d_" },
  releaseDomain: { any: "____n__d_" },
  removeAgents: { any: "____n__d_" },
  noteRemoval: { any: "____n__d_" },
  logMirrors: { any: "____n__d_" },
  readMirrors: { any: "____n__d_" },
  pullerStates: { any: "____n__d_" },
  proposeSystem: { any: "____n__d_" },
  systemReadPoint: { any: "____n__d_" },
  enrolNode: { any: "agpcnf_ds" },
  signServer: { any: "____n__d_" },
  watch: WATCHED,
  listAndWatch: WATCHED,
  cancelWatch: { any: "agpcn_rd_" },
  askProgress: { any: "agpcn_rd_" },
  regionFeed: { any: "______rd_" },
  regionStatus: { any: "______rd_" },
  addRegion: { any: "___c___d_" },
  setRegion: { any: "___c___d_" },
  removeRegion: { any: "___c___d_" },
  listRegions: { any: "agpcnf_d_" },
  regionServers: { any: "agpcnf_d_" },
  acceptGeneration: { any: "___c___d_" },
  initGovernance: { any: "___c___d_" },
  propose: { any: "___c___d_" },
  signProposal: { any: "___c___d_" },
  applyProposal: { any: "___c___d_" },
  getProposal: { any: "___c___d_" },
  governanceStatus: { any: "agpcn__ds" },
  readGovernedLog: { any: "agpcn__ds" },
  governedBundle: { any: "agpcn__ds" },
  governedCheckpoint: { any: "agpcn__ds" },
  signCheckpoint: { any: "____n__d_" },
  readGovernanceAudit: { any: "___c___d_" },
  openDelegation: { any: "_____f_d_" },
  closeDelegation: { any: "_____f_d_" },
};

const PINNED_RULES: Readonly<Record<string, Expected>> = {
  inspect: { "state of the cluster": "agpcnf_d_" },
  govern: { "the governed plane": "agpcn__ds" },
  propose: { "proposals of descriptors": "___c___d_" },
  apply: { "proposals of descriptors": "___c___d_" },
  read: { "any record": "_gpc___d_" },
  write: { "own record": "ag_____d_" },
  renew: { "own record": "ag_____d_" },
  administer: { "members, placement, bans, keys": "___c___d_" },
  peer: { "traffic between nodes": "____n__d_" },
  follow: { "all records of global scope, for another region": "______rd_" },
  watching: { "the own watches": "agpcn_rd_" },
  join: { "a certificate, by join token or previous certificate": "agpcnf_ds" },
  token: { "a token bound to the own certificate": "agpcn__d_" },
  delegate: { "delegations, by which a front acts for its callers": "_____f_d_" },
};
const UNPINNED_RULES: Readonly<Record<string, Expected>> = {
  ...PINNED_RULES,
  propose: { "proposals of descriptors": "_______d_" },
  apply: { "proposals of descriptors": "_______d_" },
  write: { "own record": "_______d_" },
  renew: { "own record": "_______d_" },
  administer: { "members, placement, bans, keys": "_______d_" },
  peer: { "traffic between nodes": "_______d_" },
  follow: { "all records of global scope, for another region": "_______d_" },
  token: { "a token bound to the own certificate": "_______d_" },
  delegate: { "delegations, by which a front acts for its callers": "_______d_" },
};

const SHOWN: Expected = {
  "own agent": "a______d_",
  "agent attached": "_g_____d_",
  "other agent": "_______d_",
  "own gateway": "_g_____d_",
  "other gateway": "_______d_",
};
const everywhere = (roles: string): Expected =>
  Object.fromEntries(Object.keys(SHOWN).map((record) => [record, roles]));
const CREDENTIAL_CELLS: Readonly<Record<string, Expected>> = {
  "without the grant": SHOWN,
  "with the grant": everywhere("agpcnf_d_"),
  "with the grant, not pinned": everywhere("_______d_"),
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

testCells("operation", operationRows(), OPERATION_CELLS);
testCells("pinned rule", ruleRows(true), PINNED_RULES);
testCells("unpinned rule", ruleRows(false), UNPINNED_RULES);
testCells("credential hash", credentialRows(), CREDENTIAL_CELLS);

test("operationRows names every operation", () => {
  const named = new Set(operationRows().map(({ what }) => what));
  assert.equal([...named], OPERATION_LIST.map(({ name }) => name));
});

test.run();
