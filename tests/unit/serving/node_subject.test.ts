/** Claims about nodes that a proven node may make. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import type { Role } from "../../../src/base/peer.ts";
import { checkDescribesItself, nodeSubjectId } from "../../../src/serving/node_subject.ts";

const CLUSTER_ID = new Uint8Array(16).fill(7);
const folderOf = (node: number) => new Uint8Array(16).fill(node);
const cluster = {
  clusterId: CLUSTER_ID,
  members: { numberOf: ([first]: Uint8Array) => first! <= 3 ? first : undefined },
};

function outcome(from: number, nodeId: number, folder: number, role: Role = "node"): string {
  try {
    const subjectId = nodeSubjectId(CLUSTER_ID, from);
    const request = { nodeId, folderId: folderOf(folder) };
    checkDescribesItself(request, { role, subject: `node ${from}`, subjectId }, cluster);
    return "ok";
  } catch (error) {
    return error instanceof RegistryError ? error.code : String(error);
  }
}

test("checkDescribesItself lets a node describe itself, by its number or its folder", () => {
  assert.is(outcome(2, 2, 2), "ok");
  assert.is(outcome(2, 0, 2), "ok");
});

test("checkDescribesItself refuses the description of another node, and of an unknown one", () => {
  assert.is(outcome(2, 1, 1), "permission_denied");
  assert.is(outcome(2, 0, 1), "permission_denied");
  assert.is(outcome(2, 0, 9), "permission_denied");
});

test("checkDescribesItself leaves the development identity alone, which may do everything", () =>
  assert.is(outcome(2, 1, 1, "development"), "ok"));

test.run();
