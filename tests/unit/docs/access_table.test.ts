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
 * The permitted roles, by their first letters: agent, gateway, proxy, controller, node, region,
 * development, unauthenticated client.
 */
type Expected = Readonly<Record<string, string>>;

const AGENT_WRITES: Expected = {
  "own agent, domain and gateway granted": "a_____d_",
  "own agent, another domain": "______d_",
  "own agent, another gateway": "______d_",
  "own agent, another region": "______d_",
  "other agent, own gateway": "______d_",
  "other agent": "______d_",
};
const OWNED_GATEWAYS: Expected = { "own gateway": "_g____d_", "other gateway": "______d_" };
const GATEWAY_WRITES: Expected = {
  "own gateway, domain granted": "_g____d_",
  "other gateway": "______d_",
  "own gateway, another domain": "______d_",
  "own gateway, another region": "______d_",
};
const AGENT_OWNED: Expected = {
  "own agent": "a_____d_",
  "agent attached": "______d_",
  "other agent": "______d_",
};

const WATCHED: Expected = {
  "own agent": "agpc__d_",
  "agent attached": "_gpc__d_",
  "other agent": "_gpc__d_",
  "own gateway": "_gpc__d_",
  "gateway granted": "agpc__d_",
  "other gateway": "_gpc__d_",
  any: "_gpc__d_",
};

const OPERATION_CELLS: Readonly<Record<string, Expected>> = {
  getAgent: { "own agent": "agpc__d_", "agent attached": "_gpc__d_", "other agent": "_gpc__d_" },
  getGateway: {
    "own gateway": "_gpc__d_",
    "gateway granted": "agpc__d_",
    "other gateway": "_gpc__d_",
  },
  resolveAgent: { any: "_gpc__d_" },
  resolveAgents: { any: "_gpc__d_" },
  resolveGateways: { any: "_gpc__d_" },
  listAgentsByRegion: { any: "_gpc__d_" },
  listGatewaysByRegion: { any: "_gpc__d_" },
  registerAgent: AGENT_WRITES,
  registerGateway: GATEWAY_WRITES,
  registerMany: { ...AGENT_WRITES, ...GATEWAY_WRITES },
  renew: {
    "own agent": "a_____d_",
    "agent attached": "_g____d_",
    "other agent": "______d_",
    ...OWNED_GATEWAYS,
  },
  deregisterAgent: AGENT_OWNED,
  deregisterGateway: OWNED_GATEWAYS,
  report: { ...AGENT_OWNED, ...OWNED_GATEWAYS },
  status: { any: "agpcn_d_" },
  getRingMap: { any: "agpcn_d_" },
  createJoinToken: { any: "___c__d_" },
  enrol: { any: "agpcn_ds" },
  renewIdentity: { any: "agpcn_ds" },
  mintToken: { any: "agpcn_d_" },
  getTokenKeys: { any: "agpcn_d_" },
  getTrustBundle: { any: "agpcn_d_" },
  ban: { any: "___c__d_" },
  unban: { any: "___c__d_" },
  readAudit: { any: "___c__d_" },
  listBans: { any: "___c__d_" },
  getLineage: { any: "_gpc__d_" },
  removeRecord: { any: "___c__d_" },
  useToken: { any: "agpcn_d_" },
  issueToken: { any: "___c__d_" },
  removeMember: { any: "___c__d_" },
  joinCluster: { any: "____n_d_" },
  clusterStatus: { any: "agpcn_d_" },
  partitionStatus: { any: "agpcn_d_" },
  reportPlacement: { any: "____n_d_" },
  claimDomain: { any: "____n_d_" },
  revokeClaim: { any: "____n_d_" },
  confirmClaim: { any: "____n_d_" },
  releaseDomain: { any: "____n_d_" },
  removeAgents: { any: "____n_d_" },
  noteRemoval: { any: "____n_d_" },
  logMirrors: { any: "____n_d_" },
  readMirrors: { any: "____n_d_" },
  pullerStates: { any: "____n_d_" },
  proposeSystem: { any: "____n_d_" },
  systemReadPoint: { any: "____n_d_" },
  enrolNode: { any: "agpcn_ds" },
  signServer: { any: "____n_d_" },
  watch: WATCHED,
  listAndWatch: WATCHED,
  cancelWatch: { any: "agpcnrd_" },
  askProgress: { any: "agpcnrd_" },
  regionFeed: { any: "_____rd_" },
  regionStatus: { any: "_____rd_" },
  addRegion: { any: "___c__d_" },
  setRegion: { any: "___c__d_" },
  removeRegion: { any: "___c__d_" },
  listRegions: { any: "agpcn_d_" },
  regionServers: { any: "agpcn_d_" },
  acceptGeneration: { any: "___c__d_" },
  initGovernance: { any: "___c__d_" },
  propose: { any: "___c__d_" },
  signProposal: { any: "___c__d_" },
  applyProposal: { any: "___c__d_" },
  getProposal: { any: "___c__d_" },
  governanceStatus: { any: "agpcn_d_" },
  readGovernedLog: { any: "agpcn_d_" },
  governedBundle: { any: "agpcn_d_" },
  governedCheckpoint: { any: "agpcn_d_" },
  signCheckpoint: { any: "____n_d_" },
  readGovernanceAudit: { any: "___c__d_" },
};

const PINNED_RULES: Readonly<Record<string, Expected>> = {
  inspect: { "state of the cluster": "agpcn_d_" },
  govern: { "the governed plane": "agpcn_d_" },
  propose: { "proposals of descriptors": "___c__d_" },
  apply: { "proposals of descriptors": "___c__d_" },
  read: { "any record": "_gpc__d_" },
  write: { "own record": "ag____d_" },
  renew: { "own record": "ag____d_" },
  administer: { "members, placement, bans, keys": "___c__d_" },
  peer: { "traffic between nodes": "____n_d_" },
  follow: { "all records of global scope, for another region": "_____rd_" },
  watching: { "the own watches": "agpcnrd_" },
  join: { "a certificate, by join token or previous certificate": "agpcn_ds" },
  token: { "a token bound to the own certificate": "agpcn_d_" },
};
const UNPINNED_RULES: Readonly<Record<string, Expected>> = {
  ...PINNED_RULES,
  propose: { "proposals of descriptors": "______d_" },
  apply: { "proposals of descriptors": "______d_" },
  write: { "own record": "______d_" },
  renew: { "own record": "______d_" },
  administer: { "members, placement, bans, keys": "______d_" },
  peer: { "traffic between nodes": "______d_" },
  follow: { "all records of global scope, for another region": "______d_" },
  token: { "a token bound to the own certificate": "______d_" },
};

const SHOWN: Expected = {
  "own agent": "a_____d_",
  "agent attached": "_g____d_",
  "other agent": "______d_",
  "own gateway": "_g____d_",
  "other gateway": "______d_",
};
const everywhere = (roles: string): Expected =>
  Object.fromEntries(Object.keys(SHOWN).map((record) => [record, roles]));
const CREDENTIAL_CELLS: Readonly<Record<string, Expected>> = {
  "without the grant": SHOWN,
  "with the grant": everywhere("agpcn_d_"),
  "with the grant, not pinned": everywhere("______d_"),
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
