/** The operation table: its ids, which never change, its names, and the codes of its replies. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { OPERATION_LIST, operationOfId, OPERATIONS } from "../../../src/wire/operations/mod.ts";
import { joined, mayAnswer, type Operation } from "../../../src/wire/operations/operation.ts";

/** Operations by id, from 1. */
const NAMES = [
  "getAgent",
  "getGateway",
  "resolveAgent",
  "resolveAgents",
  "resolveGateways",
  "listAgentsByRegion",
  "listGatewaysByRegion",
  "registerAgent",
  "registerGateway",
  "registerMany",
  "renew",
  "deregisterAgent",
  "deregisterGateway",
  "report",
  "status",
  "getRingMap",
  "createJoinToken",
  "enrol",
  "renewIdentity",
  "mintToken",
  "getTokenKeys",
  "getTrustBundle",
  "ban",
  "unban",
  "readAudit",
  "getLineage",
  "removeRecord",
  "useToken",
  "issueToken",
  "removeMember",
  "listBans",
  "joinCluster",
  "reportPlacement",
  "clusterStatus",
  "partitionStatus",
];

/** Ids above those, with gaps that are reserved for future operations. */
const LATER_NAMES = [
  "32 joinCluster",
  "33 reportPlacement",
  "36 enrolNode",
  "37 proposeSystem",
  "38 systemReadPoint",
  "39 signServer",
  "40 claimDomain",
  "41 revokeClaim",
  "42 confirmClaim",
  "43 releaseDomain",
  "44 removeAgents",
  "45 noteRemoval",
  "46 logMirrors",
  "47 readMirrors",
  "48 pullerStates",
  "50 depart",
  "51 stay",
  "52 listDepartures",
  "53 transferLeader",
  "54 rebalance",
  "55 upgradeStatus",
  "56 readImage",
  "57 pauseMoves",
  "58 drawPermits",
  "59 expiryStatus",
  "60 watch",
  "61 listAndWatch",
  "62 cancelWatch",
  "63 askProgress",
  "71 addRegion",
  "72 setRegion",
  "73 removeRegion",
  "74 listRegions",
  "78 regionServers",
  "75 acceptGeneration",
  "80 initGovernance",
  "81 propose",
  "82 signProposal",
  "83 applyProposal",
  "84 getProposal",
  "85 governanceStatus",
  "86 readGovernedLog",
  "87 governedBundle",
  "88 governedCheckpoint",
  "89 signCheckpoint",
  "90 readGovernanceAudit",
  "91 mirrorGovernance",
  "95 mintCapability",
  "96 verifyCapability",
  "100 openDelegation",
  "101 closeDelegation",
  "119 whoAmI",
  "120 registerMapsGateway",
  "121 registerMapsAgent",
  "122 registerMapsEndpoint",
  "123 getMapsGateway",
  "124 getMapsAgent",
  "125 bestMapsGateways",
  "126 listMapsGateways",
  "127 listMapsAgents",
  "128 registerMapsSeeder",
  "129 listMapsSeeders",
  "130 steerExpiry",
  "110 registerRelay",
  "111 heartbeatRelay",
  "112 placeAgent",
  "113 heartbeatAgent",
  "114 getPlacement",
  "115 getRelay",
  "116 listRelays",
  "117 listPlacements",
  "118 findRelay",
];

test("operations keep their ids", () => {
  const named = OPERATION_LIST.map(({ id, name }) => `${id} ${name}`);
  for (const name of LATER_NAMES) assert.ok(named.includes(name), name);
  assert.equal(named.slice(0, NAMES.length), NAMES.map((name, index) => `${index + 1} ${name}`));
});

test("each operation is found by its id, and has the name of its property", () => {
  OPERATION_LIST.forEach((operation, index) => {
    if (index < NAMES.length) assert.is(operation.id, index + 1);
    assert.is(operationOfId(operation.id), operation);
    assert.is(OPERATIONS[operation.name as keyof typeof OPERATIONS], operation);
  });
});

test("joined: an operation of two subjects does not compile", () => {
  const row: Operation = OPERATIONS.status;
  const [a, b, c] = [{ a: row }, { b: row }, { c: row }];
  const tables = joined(
    a,
    b,
    c,
    { d: row },
    { e: row },
    { f: row },
    { g: row },
    { h: row },
    {
      i: row,
    },
    { j: row },
    { k: row },
  );
  assert.equal(Object.keys(tables), [..."abcdefghijk"]);
  // @ts-expect-error "a" is of the first and the second subject.
  joined({ a: row }, { a: row }, { c: row }, {}, {}, {}, {}, {}, {}, {}, {});
  // @ts-expect-error "b" is of the second and the third subject.
  joined({ a: row }, { b: row }, { b: row }, {}, {}, {}, {}, {}, {}, {}, {});
  // @ts-expect-error "d" is of the fourth and the fifth subject.
  joined({}, {}, {}, { d: row }, { d: row }, {}, {}, {}, {}, {}, {});
  // @ts-expect-error "e" is of the fifth and the sixth subject.
  joined({}, {}, {}, {}, { e: row }, { e: row }, {}, {}, {}, {}, {});
  // @ts-expect-error "f" is of the sixth and the seventh subject.
  joined({}, {}, {}, {}, {}, { f: row }, { f: row }, {}, {}, {}, {});
  // @ts-expect-error "g" is of the seventh and the eighth subject.
  joined({}, {}, {}, {}, {}, {}, { g: row }, { g: row }, {}, {}, {});
  // @ts-expect-error "h" is of the eighth and the ninth subject.
  joined({}, {}, {}, {}, {}, {}, {}, { h: row }, { h: row }, {}, {});
  // @ts-expect-error "i" is of the ninth and the tenth subject.
  joined({}, {}, {}, {}, {}, {}, {}, {}, { i: row }, { i: row }, {});
  // @ts-expect-error "j" is of the tenth and the eleventh subject.
  joined({}, {}, {}, {}, {}, {}, {}, {}, {}, { j: row }, { j: row });
});

test("mayAnswer: an operation answers its own codes and the common ones", () => {
  assert.ok(mayAnswer(OPERATIONS.registerAgent, "domain_taken"));
  assert.ok(mayAnswer(OPERATIONS.status, "overloaded"));
  assert.not(mayAnswer(OPERATIONS.status, "domain_taken"));
  assert.not(mayAnswer(OPERATIONS.status, "unknown_operation"));
});

test.run();
