/** Recovery of one member's folder: what it says, when it is refused, and that a crash in it loses nothing. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemberFolder } from "../../../src/backup/member_folder.ts";
import { writeRebuiltLog } from "../../../src/backup/rebuilt_log.ts";
import {
  checkMajorityLost,
  finishInterruptedRecovery,
  planRecovery,
  recoverAlone,
} from "../../../src/backup/unsafe_recovery.ts";
import { type ErrorCode, RegistryError, toRegistryError } from "../../../src/base/errors.ts";
import {
  GOVERNED_GROUP,
  GOVERNED_PLACE,
  groupOfPartition,
  partitionId,
  SYSTEM_GROUP,
} from "../../../src/base/ids.ts";
import { readClusterFile, writeClusterFile } from "../../../src/node/cluster_file.ts";
import { logFolderOf, markFolderOf, openLogStorages } from "../../../src/node/data_folder.ts";
import { processWorld } from "../../../src/node/process_world.ts";
import { openFileStorage } from "../../../src/storage/file_storage.ts";
import { encodePutMember } from "../../../src/record/command.ts";
import { encodePutPlacement } from "../../../src/system/placement/placement_state.ts";
import { encodeAssignReplicas } from "../../../src/system/replicas/replica_state.ts";
import type { Dialer } from "../../../transport/transport.ts";
import { refusalOf } from "../../support/refusal.ts";
import { BackedUpCluster } from "../../support/backed_up_cluster.ts";
import { HEADER } from "../../support/system_harness.ts";
import { inTemporaryFolder } from "../../support/temporary_folder.ts";

const world = processWorld();
const folderId = new Uint8Array(16).fill(0x55);
const PIN = new Uint8Array(32).fill(9);

type Prepare = (cluster: BackedUpCluster) => void;

/** Writes the data folder of node 1, the founder of a cluster of two nodes. */
async function newMember(data: string, prepare: Prepare): Promise<void> {
  const cluster = new BackedUpCluster();
  prepare(cluster);
  const addresses = [{ transport: "peer", host: "127.0.0.1", port: 7002 }];
  const member = { nodeId: 2, addresses, pin: PIN, nextPin: PIN };
  cluster.system.apply(encodePutMember(HEADER, member));
  const { stores } = cluster.partitions;
  const groups = [
    { group: SYSTEM_GROUP, store: cluster.system.store },
    ...stores.map((store, number) => ({ group: groupOfPartition(partitionId(number)), store })),
  ];
  await writeRebuiltLog(
    groups.map(({ group, store }) => ({
      ...{ group, replica: 1, index: Math.max(1, store.appliedIndex) },
      image: () => store.writeImage(),
    })),
    {
      storage: openFileStorage(logFolderOf(data)),
      markStorage: openFileStorage(markFolderOf(data)),
      ...{ generation: 2, world },
    },
  );
  const { clusterId } = cluster.system.store.genesis!;
  writeClusterFile(data, {
    folderId,
    membership: {
      ...{ nodeId: 1, clusterId, generation: 2, partitionCount: 4, region: "eu" },
      ...{ replica: 1, isNew: false, members: [], systemReplicas: [] },
    },
  });
}

async function withMember(
  use: (data: string, folder: MemberFolder) => Promise<void>,
  prepare: Prepare = () => {},
): Promise<void> {
  await inTemporaryFolder(async (data) => {
    await newMember(data, prepare);
    const folder = await MemberFolder.open(data, world);
    try {
      await use(data, folder);
    } finally {
      await folder.close();
    }
  });
}

function dialerOf(code: ErrorCode | undefined, dialed: number[] = []): Dialer {
  return {
    dial: ({ port }: { readonly port: number }) => {
      dialed.push(port);
      if (code !== undefined) return Promise.reject(new RegistryError(code, "refused"));
      return Promise.resolve({ abort: () => {} });
    },
  } as unknown as Dialer;
}

async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
    return "ok";
  } catch (error) {
    return toRegistryError(error).code;
  }
}

test("planRecovery: the sentence names the nodes that are given up, the cluster and the generation", async () => {
  await withMember((_, folder) => {
    const { sentence, generation, others } = planRecovery(folder);
    assert.equal([generation, others], [3, [2]]);
    assert.is(
      sentence,
      "I give up node 2 for good: node 1 continues cluster 01010101-0101-0101-0101-010101010101 " +
        "alone, as generation 3",
    );
    return Promise.resolve();
  });
});

test("checkMajorityLost: whatever answers at a member's address counts", async () => {
  await withMember(async (_, { membership, state }) => {
    const groups = [{ group: SYSTEM_GROUP, voters: [1, 2], last: undefined }];
    const folder = { membership, state, groups };
    const dialed: number[] = [];
    for (const code of ["deadline_exceeded", "connection_lost"] as const) {
      assert.is(await codeOf(() => checkMajorityLost(folder, dialerOf(code, dialed))), "ok");
    }
    assert.equal(dialed, [7002, 7002]);
    for (const code of [undefined, "tls_failed"] as const) {
      const refusal = () => checkMajorityLost(folder, dialerOf(code));
      assert.is(await codeOf(refusal), "invalid_argument", code);
    }
  });
});

test("recoverAlone: the node is the only member, and the former log is kept", async () => {
  await withMember(async (data, folder) => {
    const plan = planRecovery(folder);
    const { claims, kept } = await recoverAlone(folder, plan, { data, world });
    assert.is(claims.kept, 12);
    assert.ok(Deno.statSync(kept).isDirectory);
    assert.is(readClusterFile(data)?.membership?.generation, 3);
    assert.equal(readClusterFile(data)?.folderId, folderId);
    const after = await MemberFolder.open(data, world);
    assert.equal(after.state.members.all.map(({ nodeId }) => nodeId), [1]);
    assert.is(after.generation, 3);
    assert.is(await codeOf(() => planRecovery(after)), "invalid_configuration");
    await after.close();
  });
});

test("recoverAlone: a governed plane that only others held is lost, and empty afterwards", async () => {
  const placeElsewhere = ({ system }: BackedUpCluster) => {
    const places = [{ groupId: GOVERNED_GROUP, nodeId: 2 }];
    const replica = Number(system.apply(encodeAssignReplicas(HEADER, places)));
    const placed = system.apply(encodePutPlacement(HEADER, {
      ...{ partition: GOVERNED_PLACE, replacedRevision: 0, configurationIndex: 1 },
      replicas: [{ replica, role: "voter" }],
    }));
    assert.is(placed, "ok");
  };
  await withMember(async (data, folder) => {
    const plan = planRecovery(folder);
    const lost = plan.lost.find(({ group }) => group === GOVERNED_GROUP);
    assert.equal(lost, { group: GOVERNED_GROUP, voters: [2], last: undefined });
    await recoverAlone(folder, plan, { data, world });
    const after = await MemberFolder.open(data, world);
    const plane = after.groups.find(({ group }) => group === GOVERNED_GROUP);
    assert.equal(plane?.voters, [1]);
    assert.ok(plane?.last !== undefined, "the log has the replica that group 0 says");
    await after.close();
  }, placeElsewhere);
});

test("finishInterruptedRecovery: a crash between any two steps of the exchange is finished", async () => {
  await withMember(async (data, folder) => {
    await recoverAlone(folder, planRecovery(folder), { data, world });
    const [log, mark] = [logFolderOf(data), markFolderOf(data)];
    const steps = [
      // Back from the last step to the first, as a crash would have left it.
      () => Deno.renameSync(log, `${log}.recovered`),
      () => Deno.renameSync(mark, `${mark}.recovered`),
      () => Deno.renameSync(`${mark}.before-recovery`, mark),
    ];
    for (let count = 1; count <= steps.length; count++) {
      for (const step of steps.slice(0, count)) step();
      const { scheduler } = world;
      const { code, message } = refusalOf(() => openLogStorages(data, true, scheduler));
      assert.is(code, "corrupt");
      assert.match(message, "--unsafe-recover");
      assert.ok(finishInterruptedRecovery(data));
      const after = await MemberFolder.open(data, world);
      assert.is(after.generation, 3, `${count} steps back`);
      await after.close();
    }
    assert.not(finishInterruptedRecovery(data));
  });
});

test("MemberFolder: folders of no member, and of a removed one, are refused", async () => {
  await withMember(async (data, folder) => {
    await folder.close();
    const { membership } = readClusterFile(data)!;
    writeClusterFile(data, { folderId, membership: { ...membership!, isRemoved: true } });
    assert.is(await codeOf(() => MemberFolder.open(data, world)), "invalid_configuration");
    writeClusterFile(data, { folderId });
    assert.is(await codeOf(() => MemberFolder.open(data, world)), "invalid_configuration");
  });
});

test.run();
