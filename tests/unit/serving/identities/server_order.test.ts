/** The TLS certificates that nodes may have signed: those of members, for their own names. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SERVER_CERTIFICATE_LIFE_MS_MAX, SERVER_NAMES_MAX } from "../../../../src/base/limits.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { nodeSubjectId } from "../../../../src/serving/node_subject.ts";
import { memberOf, serverOrderOf } from "../../../../src/serving/identities/server_order.ts";
import type { Member } from "../../../../src/system/members/member_state.ts";

const CLUSTER_ID = new Uint8Array(16).fill(7);
const NOW_MS = 1_000_000;
const PIN = new Uint8Array(32);
const REQUEST = { publicKey: new Uint8Array(65), names: ["a.example"], notBeforeMs: NOW_MS };

function member(nodeId: number, ...hosts: string[]): Member {
  const addresses = hosts.map((host) => ({ transport: "quic", host, port: 4_443 }));
  return { nodeId, addresses, pin: PIN, nextPin: PIN, applyVersionMax: 0 };
}

const MEMBERS = [
  member(1, "a.example", "shared.example"),
  member(2, "b.example", "shared.example", "2001:db8::5"),
  member(3),
];

/** The refusal of a certificate for `node` with these names; "signed" if there is none. */
function outcome(node: number, names: readonly string[], changes: object = {}): string {
  try {
    const genesis = { clusterId: CLUSTER_ID } as never;
    const own = memberOf(nodeSubjectId(CLUSTER_ID, node), { genesis, members: MEMBERS });
    const request = { ...REQUEST, names: [...names], ...changes };
    serverOrderOf(request, own, { members: MEMBERS, nowMs: NOW_MS });
    return "signed";
  } catch (error) {
    if (error instanceof RegistryError) return `${error.code} ${error.fields.field}`;
    throw error;
  }
}

test("serverOrderOf refuses the names of other members, unless they are the node's own too", () => {
  assert.is(outcome(1, ["a.example", "shared.example"]), "signed");
  assert.is(outcome(1, ["b.example"]), "permission_denied names");
  assert.is(outcome(2, ["b.example", "a.example"]), "permission_denied names");
});

test("serverOrderOf knows an IP address of another member in every spelling", () => {
  for (const address of ["2001:db8::5", "2001:DB8:0:0:0:0:0:5", "2001:db8::0005"]) {
    assert.is(outcome(1, [address]), "permission_denied names", address);
    assert.is(outcome(2, [address]), "signed", address);
  }
});

test("serverOrderOf signs names that nobody has, so that a node can move to another address", () => {
  assert.is(outcome(1, ["new.example"]), "signed");
  assert.is(outcome(2, ["localhost", "127.0.0.1"]), "signed");
});

test("serverOrderOf signs the first certificate of a member that has published no address", () =>
  assert.is(outcome(3, ["a.example"]), "signed"));

test("serverOrderOf refuses whoever is no member, and impossible requests", () => {
  assert.is(outcome(4, ["d.example"]), "permission_denied names");
  assert.is(outcome(1, Array(SERVER_NAMES_MAX + 1).fill("a.example")), "invalid_argument names");
  const late = { notBeforeMs: NOW_MS + SERVER_CERTIFICATE_LIFE_MS_MAX + 1 };
  assert.is(outcome(1, ["a.example"], late), "invalid_argument notBeforeMs");
});

test.run();
