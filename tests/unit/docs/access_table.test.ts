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
 * The permitted roles, by their first letters: agent, gateway, proxy, controller, node,
 * development, unauthenticated client.
 */
type Expected = Readonly<Record<string, string>>;

const AGENT_WRITES: Expected = {
  "own agent, domain and gateway granted": "a____d_",
  "own agent, another domain": "_____d_",
  "own agent, another gateway": "_____d_",
  "own agent, another region": "_____d_",
  "other agent, own gateway": "_____d_",
  "other agent": "_____d_",
};
const OWNED_GATEWAYS: Expected = { "own gateway": "_g___d_", "other gateway": "_____d_" };
const GATEWAY_WRITES: Expected = {
  "own gateway, domain granted": "_g___d_",
  "other gateway": "_____d_",
  "own gateway, another domain": "_____d_",
  "own gateway, another region": "_____d_",
};
const AGENT_OWNED: Expected = {
  "own agent": "a____d_",
  "agent attached": "_____d_",
  "other agent": "_____d_",
};

const WATCHED: Expected = {
  "own agent": "agpc_d_",
  "agent attached": "_gpc_d_",
  "other agent": "_gpc_d_",
  "own gateway": "_gpc_d_",
  "gateway granted": "agpc_d_",
  "other gateway": "_gpc_d_",
  any: "_gpc_d_",
};

const OPERATION_CELLS: Readonly<Record<string, Expected>> = {
  getAgent: { "own agent": "agpc_d_", "agent attached": "_gpc_d_", "other agent": "_gpc_d_" },
  getGateway: {
    "own gateway": "_gpc_d_",
    "gateway granted": "agpc_d_",
    "other gateway": "_gpc_d_",
  },
  resolveAgent: { any: "_gpc_d_" },
  resolveAgents: { any: "_gpc_d_" },
  resolveGateways: { any: "_gpc_d_" },
  listAgentsByRegion: { any: "_gpc_d_" },
  listGatewaysByRegion: { any: "_gpc_d_" },
  registerAgent: AGENT_WRITES,
  registerGateway: GATEWAY_WRITES,
  registerMany: { ...AGENT_WRITES, ...GATEWAY_WRITES },
  renew: {
    "own agent": "a____d_",
    "agent attached": "_g___d_",
    "other agent": "_____d_",
    ...OWNED_GATEWAYS,
  },
  deregisterAgent: AGENT_OWNED,
  deregisterGateway: OWNED_GATEWAYS,
  report: { ...AGENT_OWNED, ...OWNED_GATEWAYS },
  status: { any: "agpcnd_" },
  getRingMap: { any: "agpcnd_" },
  createJoinToken: { any: "___c_d_" },
  enrol: { any: "agpcnds" },
  renewIdentity: { any: "agpcnds" },
  mintToken: { any: "agpcnd_" },
  getTokenKeys: { any: "agpcnd_" },
  getTrustBundle: { any: "agpcnd_" },
  ban: { any: "___c_d_" },
  unban: { any: "___c_d_" },
  readAudit: { any: "___c_d_" },
  listBans: { any: "___c_d_" },
  getLineage: { any: "_gpc_d_" },
  removeRecord: { any: "___c_d_" },
  useToken: { any: "agpcnd_" },
  issueToken: { any: "___c_d_" },
  removeMember: { any: "___c_d_" },
  joinCluster: { any: "____nd_" },
  clusterStatus: { any: "agpcnd_" },
  partitionStatus: { any: "agpcnd_" },
  reportPlacement: { any: "____nd_" },
  claimDomain: { any: "____nd_" },
  revokeClaim: { any: "____nd_" },
  confirmClaim: { any: "____nd_" },
  releaseDomain: { any: "____nd_" },
  removeAgents: { any: "____nd_" },
  noteRemoval: { any: "____nd_" },
  logMirrors: { any: "____nd_" },
  readMirrors: { any: "____nd_" },
  pullerStates: { any: "____nd_" },
  proposeSystem: { any: "____nd_" },
  systemReadPoint: { any: "____nd_" },
  enrolNode: { any: "agpcnds" },
  signServer: { any: "____nd_" },
  watch: WATCHED,
  listAndWatch: WATCHED,
  cancelWatch: { any: "agpcnd_" },
  askProgress: { any: "agpcnd_" },
  addRegion: { any: "___c_d_" },
  setRegion: { any: "___c_d_" },
  removeRegion: { any: "___c_d_" },
  listRegions: { any: "agpcnd_" },
  regionServers: { any: "agpcnd_" },
  acceptGeneration: { any: "___c_d_" },
};

const PINNED_RULES: Readonly<Record<string, Expected>> = {
  inspect: { "state of the cluster": "agpcnd_" },
  read: { "any record": "_gpc_d_" },
  write: { "own record": "ag___d_" },
  renew: { "own record": "ag___d_" },
  administer: { "members, placement, bans, keys": "___c_d_" },
  peer: { "traffic between nodes": "____nd_" },
  join: { "a certificate, by join token or previous certificate": "agpcnds" },
  token: { "a token bound to the own certificate": "agpcnd_" },
};
const UNPINNED_RULES: Readonly<Record<string, Expected>> = {
  ...PINNED_RULES,
  write: { "own record": "_____d_" },
  renew: { "own record": "_____d_" },
  administer: { "members, placement, bans, keys": "_____d_" },
  peer: { "traffic between nodes": "_____d_" },
  token: { "a token bound to the own certificate": "_____d_" },
};

const SHOWN: Expected = {
  "own agent": "a____d_",
  "agent attached": "_g___d_",
  "other agent": "_____d_",
  "own gateway": "_g___d_",
  "other gateway": "_____d_",
};
const everywhere = (roles: string): Expected =>
  Object.fromEntries(Object.keys(SHOWN).map((record) => [record, roles]));
const CREDENTIAL_CELLS: Readonly<Record<string, Expected>> = {
  "without the grant": SHOWN,
  "with the grant": everywhere("agpcnd_"),
  "with the grant, not pinned": everywhere("_____d_"),
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
