/** A restored data folder as a node opens it: it leads every group alone, under the new generation. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BackupFolder } from "../../../src/backup/backup_folder.ts";
import { restoreBackup } from "../../../src/backup/restore.ts";
import { takeBackup } from "../../../src/backup/take_backup.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { generationOfTerm, nodeId, partitionId } from "../../../src/base/ids.ts";
import { NO_POSITION } from "../../../src/base/position.ts";
import { joinedOf } from "../../../src/node/cluster_peers.ts";
import { readClusterFile } from "../../../src/node/cluster_file.ts";
import { logFolderOf, markFolderOf } from "../../../src/node/data_folder.ts";
import { processWorld } from "../../../src/node/process_world.ts";
import { encodePut } from "../../../src/record/command.ts";
import { KIND_AGENT } from "../../../src/record/key.ts";
import { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import { openFileStorage } from "../../../src/storage/file_storage.ts";
import { EventFeed } from "../../../src/store/event_feed.ts";
import { BackedUpCluster } from "../../support/backed_up_cluster.ts";
import { agentBytes, idOf, newShared } from "../../support/store.ts";
import { inTemporaryFolder } from "../../support/temporary_folder.ts";

const world = processWorld();
/** Of a first restore. */
const GENERATION = 8;

test("a restored folder is led alone, and assigns incarnations of its own generation only", async () => {
  await inTemporaryFolder(async (folder) => {
    const cluster = new BackedUpCluster();
    const sources = [cluster.source(1)];
    const taken = { cluster: cluster.described, bytesPerSecond: 1e9, program: "1.2.3", world };
    await takeBackup({ folder: `${folder}/b`, sources, ...taken });
    const data = `${folder}/data`;
    await restoreBackup({ backup: BackupFolder.open(`${folder}/b`), data, world });
    const { membership } = readClusterFile(data)!;
    const groups = await ClusterGroups.open({
      nodeId: nodeId(membership!.nodeId),
      ...{ world, logger: SILENT_LOGGER },
      log: {
        storage: openFileStorage(logFolderOf(data)),
        markStorage: openFileStorage(markFolderOf(data)),
      },
      logEvents: { cut: () => {}, poisoned: () => {}, writable: () => {}, synced: () => {} },
      peers: { send: () => {}, sendImage: () => {} },
      ...{ shared: newShared(), sink: new EventFeed(), region: "eu", partitionCount: 4 },
      joined: joinedOf(membership)!,
    });
    try {
      assert.equal([groups.created, groups.nodes.log.generation], [false, GENERATION]);
      assert.is(groups.system.store.state.versions.generation, GENERATION);
      let found = 0;
      for (let number = 0; number < 4; number++) {
        const { group, store } = groups.partition(partitionId(number))!;
        assert.is(generationOfTerm(group.status().term), GENERATION);
        found += store.countOf(KIND_AGENT);
        const record = agentBytes({ number: 900 + number });
        const from = { timeMs: group.timeMs(), unixS: 1, writer: 0 };
        const proposed = await group.propose(
          encodePut(from, { record, kind: KIND_AGENT, expected: NO_POSITION }),
          10_000,
        );
        assert.is(proposed.ok && proposed.outcome.incarnation.generation, GENERATION);
      }
      assert.is(found, 12);
      const agent = cluster.partitions.ofAgent(1).agent(1)!;
      const home = [...groups.partitions].find(({ store }) =>
        store.find(KIND_AGENT, idOf(1), 0, 16) !== -1
      )!;
      const slot = home.store.find(KIND_AGENT, idOf(1), 0, 16);
      // Owners of before renew what the backup has under the incarnation that they know.
      assert.equal(home.store.incarnationOf(slot), agent.incarnation);
      const nowMs = home.group.timeMs();
      assert.is(home.store.renew(KIND_AGENT, idOf(1), 0, agent.incarnation, nowMs), "renewed");
      assert.ok(home.store.remainingMs(slot, nowMs) >= agent.ttlMs);
    } finally {
      await groups.close();
    }
  });
});

test.run();
