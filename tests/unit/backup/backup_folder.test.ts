/** A backup is taken, read again and restored; every damage to it is named, and nothing is restored then. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BackupFolder } from "../../../src/backup/backup_folder.ts";
import { MANIFEST_FILE } from "../../../src/backup/manifest.ts";
import { restoreBackup } from "../../../src/backup/restore.ts";
import {
  type BackupOptions,
  type ImageSource,
  takeBackup,
} from "../../../src/backup/take_backup.ts";
import { verifyBackup } from "../../../src/backup/verify_backup.ts";
import { RegistryError, toRegistryError } from "../../../src/base/errors.ts";
import { firstTermOf, GENERATION_MAX } from "../../../src/base/ids.ts";
import { RAFT_FIRST_TERM_MAX } from "../../../src/base/limits.ts";
import { processWorld } from "../../../src/node/process_world.ts";
import { BackedUpCluster } from "../../support/backed_up_cluster.ts";
import { inTemporaryFolder } from "../../support/temporary_folder.ts";

const world = processWorld();

async function take(
  folder: string,
  sources?: readonly ImageSource[],
  more: Partial<BackupOptions> = {},
) {
  const cluster = new BackedUpCluster();
  return await takeBackup({
    ...{ folder, cluster: cluster.described, bytesPerSecond: 1e9, program: "1.2.3", world },
    sources: sources ?? [cluster.source(1), cluster.source(2)],
    ...more,
  });
}

/** Returns what is wrong with a backup, by file; "" for the whole of it. */
function faultsOf(path: string): string[] {
  try {
    return verifyBackup(BackupFolder.open(path))
      .flatMap(({ error, group }) => error === undefined ? [] : [`${group.file} ${error.code}`]);
  } catch (error) {
    return [` ${toRegistryError(error).code}`];
  }
}

async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
    return "ok";
  } catch (error) {
    return toRegistryError(error).code;
  }
}

test("takeBackup: every group has an image, from a leader or a follower, and all of it is whole", async () => {
  await inTemporaryFolder(async (folder) => {
    const { groups } = await take(`${folder}/b`);
    assert.equal(groups.map(({ groupId }) => groupId), [0, 1, 2, 3, 4]);
    assert.is(new Set(groups.map(({ nodeId }) => nodeId)).size, 2);
    assert.ok(groups.every(({ nodeId, isLeader }) => isLeader === (nodeId === 1)));
    const partitions = groups.filter(({ groupId }) => groupId > 0);
    assert.is(partitions.reduce((sum, { records }) => sum + records, 0), 24);
    assert.equal(faultsOf(`${folder}/b`), []);
    const names = [...Deno.readDirSync(`${folder}/b`)].map(({ name }) => name).sort();
    assert.equal(names, [MANIFEST_FILE, ...groups.map(({ file }) => file)].sort());
  });
});

test("takeBackup: a node that loses its image or its replica is asked again, or another one is", async () => {
  await inTemporaryFolder(async (folder) => {
    const cluster = new BackedUpCluster();
    const [good, moody] = [cluster.source(1), cluster.source(2, 60)];
    let calls = 0;
    const refusing: ImageSource = {
      nodeId: 2,
      read: (request) => {
        const codes = ["not_replica", "connection_lost", "not_found"] as const;
        if (++calls % 3 === 0) throw new RegistryError(codes[calls % codes.length]!, "later");
        return moody.read(request);
      },
    };
    await take(`${folder}/b`, [good, refusing]);
    assert.equal(faultsOf(`${folder}/b`), []);
    assert.ok(calls > 3);
  });
});

test("takeBackup: a caller without the right, and a node that sends too much, end it; nothing is left", async () => {
  await inTemporaryFolder(async (folder) => {
    const denied: ImageSource = {
      nodeId: 1,
      read: () => Promise.reject(new RegistryError("permission_denied", "no")),
    };
    assert.is(await codeOf(() => take(`${folder}/b`, [denied])), "permission_denied");
    const good = new BackedUpCluster().source(1);
    const endless: ImageSource = {
      nodeId: 1,
      read: async (request) => ({ ...await good.read(request), part: new Uint8Array(0) }),
    };
    assert.is(await codeOf(() => take(`${folder}/b`, [endless])), "corrupt");
    assert.equal([...Deno.readDirSync(folder)], []);
  });
});

test("takeBackup: a folder that holds something is refused, an unfinished backup is taken again", async () => {
  await inTemporaryFolder(async (folder) => {
    Deno.mkdirSync(`${folder}/full`);
    Deno.writeTextFileSync(`${folder}/full/x`, "mine");
    assert.is(await codeOf(() => take(`${folder}/full`)), "invalid_argument");
    assert.is(Deno.readTextFileSync(`${folder}/full/x`), "mine");
    // What a process that was killed leaves.
    Deno.mkdirSync(`${folder}/b.unfinished`);
    Deno.writeTextFileSync(`${folder}/b.unfinished/lock`, "1\n");
    Deno.writeTextFileSync(`${folder}/b.unfinished/partition-0000.image`, "half");
    assert.equal(faultsOf(`${folder}/b`), [" corrupt"]);
    await take(`${folder}/b`);
    assert.equal(faultsOf(`${folder}/b`), []);
    Deno.mkdirSync(`${folder}/c.unfinished`);
    Deno.writeTextFileSync(`${folder}/c.unfinished/other`, "not ours");
    assert.is(await codeOf(() => take(`${folder}/c`)), "invalid_argument");
  });
});

test("verifyBackup: a changed byte, a cut, a lost file and a lost description are named", async () => {
  await inTemporaryFolder(async (folder) => {
    const path = `${folder}/b`;
    const { groups } = await take(path);
    const damaged = (file: string, damage: (bytes: Uint8Array) => Uint8Array | undefined) => {
      const whole = Deno.readFileSync(`${path}/${file}`);
      const bytes = damage(whole.slice());
      if (bytes === undefined) Deno.removeSync(`${path}/${file}`);
      else Deno.writeFileSync(`${path}/${file}`, bytes);
      const faults = faultsOf(path);
      Deno.writeFileSync(`${path}/${file}`, whole);
      return faults;
    };
    const flip = (at: number) => (bytes: Uint8Array) => {
      bytes[at]! ^= 1;
      return bytes;
    };
    for (const { file, bytes } of groups) {
      for (const at of [0, bytes >> 1, bytes - 1]) {
        assert.equal(damaged(file, flip(at)), [`${file} corrupt`], `${file} at ${at}`);
      }
      assert.equal(damaged(file, (whole) => whole.subarray(1)), [`${file} corrupt`]);
      assert.equal(damaged(file, (whole) => whole.subarray(0, -1)), [`${file} corrupt`]);
      assert.equal(damaged(file, () => undefined), [`${file} corrupt`]);
    }
    const { length } = Deno.readFileSync(`${path}/${MANIFEST_FILE}`);
    for (let at = 0; at < length - 1; at++) {
      const [fault, ...others] = damaged(MANIFEST_FILE, flip(at));
      // A flipped bit of white space changes nothing; a later format is one that this program cannot know.
      if (fault === undefined) continue;
      assert.ok([" corrupt", " unsupported_version"].includes(fault), `${at}: ${fault}`);
      assert.is(others.length, 0);
    }
    assert.equal(damaged(MANIFEST_FILE, () => undefined), [" corrupt"]);
    assert.equal(faultsOf(`${folder}/other`), [" not_found"]);
  });
});

test("verifyBackup: an image that is not the one described is found although its checksum holds", async () => {
  await inTemporaryFolder(async (folder) => {
    const cluster = new BackedUpCluster();
    const good = cluster.source(1);
    const wrong: ImageSource = {
      nodeId: 1,
      read: async (request) => {
        const reply = await good.read(request);
        return request.groupId === 2 ? { ...reply, records: reply.records + 1 } : reply;
      },
    };
    await take(`${folder}/b`, [wrong]);
    assert.equal(faultsOf(`${folder}/b`), ["partition-0001.image corrupt"]);
  });
});

test("restoreBackup: each restore has a generation of its own, and a folder that holds something stays", async () => {
  await inTemporaryFolder(async (folder) => {
    await take(`${folder}/b`);
    const backup = BackupFolder.open(`${folder}/b`);
    const first = await restoreBackup({ backup, data: `${folder}/1`, world });
    const second = await restoreBackup({ backup, data: `${folder}/2`, world });
    assert.equal([first.membership.generation, second.membership.generation], [8, 16]);
    assert.is(first.claims.kept, 12);
    assert.is(
      await codeOf(() => restoreBackup({ backup, data: `${folder}/1`, world })),
      "invalid_argument",
    );
    const chosen = await restoreBackup({ backup, data: `${folder}/3`, generation: 20, world });
    assert.is(chosen.membership.generation, 20);
    const lower = () => restoreBackup({ backup, data: `${folder}/4`, generation: 19, world });
    assert.is(await codeOf(lower), "invalid_argument");
    assert.equal([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "1",
      "2",
      "3",
      "b",
    ]);
  });
});

test("restoreBackup: nodes can join every generation that a restore may have", () => {
  assert.is(firstTermOf(GENERATION_MAX + 1), RAFT_FIRST_TERM_MAX);
});

test("restoreBackup: nothing is restored of a damaged backup", async () => {
  await inTemporaryFolder(async (folder) => {
    const { groups } = await take(`${folder}/b`);
    const backup = BackupFolder.open(`${folder}/b`);
    Deno.truncateSync(`${folder}/b/${groups[3]!.file}`, 10);
    assert.is(await codeOf(() => restoreBackup({ backup, data: `${folder}/1`, world })), "corrupt");
    assert.equal([...Deno.readDirSync(folder)].map(({ name }) => name), ["b"]);
    assert.not([...Deno.readDirSync(`${folder}/b`)].some(({ name }) => name === "restored.json"));
  });
});

test.run();
