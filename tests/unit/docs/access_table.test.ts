/**
 * Each cell of the table of access, role × operation × own or other: written down here by hand from
 * the rules as people say them, and compared with what the functions answer.
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
import { OPERATIONS } from "../../../src/wire/operations.ts";

/** Who may, by the first letters of the roles: agent, gateway, proxy, controller, node, development. */
type Expected = Readonly<Record<string, string>>;

const AGENT_WRITES: Expected = {
  "own agent, domain and gateway granted": "a____d",
  "own agent, another domain": "_____d",
  "own agent, another gateway": "_____d",
  "other agent, own gateway": "_____d",
  "other agent": "_____d",
};
const GATEWAY_WRITES: Expected = { "own gateway": "_g___d", "other gateway": "_____d" };
const AGENT_OWNED: Expected = {
  "own agent": "a____d",
  "agent attached": "_____d",
  "other agent": "_____d",
};

const OPERATION_CELLS: Readonly<Record<string, Expected>> = {
  getAgent: { "own agent": "agpc_d", "agent attached": "_gpc_d", "other agent": "_gpc_d" },
  getGateway: { "own gateway": "_gpc_d", "gateway granted": "agpc_d", "other gateway": "_gpc_d" },
  resolveAgent: { any: "_gpc_d" },
  resolveAgents: { any: "_gpc_d" },
  resolveGateways: { any: "_gpc_d" },
  listAgentsByRegion: { any: "_gpc_d" },
  listGatewaysByRegion: { any: "_gpc_d" },
  registerAgent: AGENT_WRITES,
  registerGateway: GATEWAY_WRITES,
  registerMany: { ...AGENT_WRITES, ...GATEWAY_WRITES },
  renew: {
    "own agent": "a____d",
    "agent attached": "_g___d",
    "other agent": "_____d",
    ...GATEWAY_WRITES,
  },
  deregisterAgent: AGENT_OWNED,
  deregisterGateway: GATEWAY_WRITES,
  report: { ...AGENT_OWNED, ...GATEWAY_WRITES },
  status: { any: "agpcnd" },
  getRingMap: { any: "agpcnd" },
};

const PINNED_RULES: Readonly<Record<string, Expected>> = {
  inspect: { "how the cluster stands": "agpcnd" },
  read: { "any record": "_gpc_d" },
  write: { "own record": "ag___d" },
  renew: { "own record": "ag___d" },
  administer: { "members, placement, bans, keys": "___c_d" },
  peer: { "traffic between nodes": "____nd" },
};
const UNPINNED_RULES: Readonly<Record<string, Expected>> = {
  ...PINNED_RULES,
  write: { "own record": "_____d" },
  renew: { "own record": "_____d" },
  administer: { "members, placement, bans, keys": "_____d" },
  peer: { "traffic between nodes": "_____d" },
};

const SHOWN: Expected = {
  "own agent": "a____d",
  "agent attached": "_g___d",
  "other agent": "_____d",
  "own gateway": "_g___d",
  "other gateway": "_____d",
};
const everywhere = (roles: string): Expected =>
  Object.fromEntries(Object.keys(SHOWN).map((record) => [record, roles]));
const CREDENTIAL_CELLS: Readonly<Record<string, Expected>> = {
  "without the grant": SHOWN,
  "with the grant": everywhere("agpcnd"),
  "with the grant, not pinned": everywhere("_____d"),
};

/** A test for each cell, and one that no cell is missing. */
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
  assert.equal([...named], Object.keys(OPERATIONS));
});

test.run();
