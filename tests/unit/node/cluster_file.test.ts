/** `cluster.json`: what was written is read, and a file of a later program is refused as such. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import {
  CLUSTER_FILE,
  type ClusterFile,
  readClusterFile,
  writeClusterFile,
} from "../../../src/node/cluster_file.ts";
import { APPLY_VERSION_MAX } from "../../../src/system/versions/features.ts";
import { inTemporaryFolder } from "../../support/temporary_folder.ts";

const FILE: ClusterFile & Pick<Required<ClusterFile>, "membership"> = {
  folderId: new Uint8Array(16).fill(1),
  membership: {
    nodeId: 3,
    clusterId: new Uint8Array(16).fill(2),
    generation: 1,
    partitionCount: 16,
    region: "eu-1",
    replica: 7,
    isNew: false,
    applyVersion: APPLY_VERSION_MAX,
    members: [],
    systemReplicas: [{ replica: 7, nodeId: 3 }],
  },
};

function codeOf(read: () => unknown): string {
  try {
    read();
    return "read";
  } catch (error) {
    if (error instanceof RegistryError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

test("readClusterFile returns what writeClusterFile wrote", async () => {
  await inTemporaryFolder((folder) => {
    assert.is(readClusterFile(folder), undefined);
    writeClusterFile(folder, FILE);
    assert.equal(readClusterFile(folder), FILE);
  });
});

test("readClusterFile refuses what a later program wrote, and says which one is needed", async () => {
  await inTemporaryFolder((folder) => {
    const applyVersion = APPLY_VERSION_MAX + 1;
    writeClusterFile(folder, { ...FILE, membership: { ...FILE.membership, applyVersion } });
    const refused = codeOf(() => readClusterFile(folder));
    assert.match(
      refused,
      /^unsupported_version: Program [\d.]+ does not know apply version \d+ of/,
    );
    assert.match(refused, /start that one, or a newer one/);

    const path = `${folder}/${CLUSTER_FILE}`;
    writeClusterFile(folder, FILE);
    const text = Deno.readTextFileSync(path);
    Deno.writeTextFileSync(path, text.replace('"version": 1', '"version": 2'));
    assert.match(codeOf(() => readClusterFile(folder)), /^unsupported_version: .*version 2 of/);
    Deno.writeTextFileSync(path, text.slice(1));
    assert.match(codeOf(() => readClusterFile(folder)), /^corrupt: /);
  });
});

test.run();
