/** Images for backups: current, in parts, few at a time, and dropped when nobody reads them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ReadImageRequest } from "../../../schemas/gen/wire.ts";
import { RegistryError, toRegistryError } from "../../../src/base/errors.ts";
import type { AuthenticatedPeer } from "../../../src/base/peer.ts";
import { concatBytes } from "../../../src/base/bytes.ts";
import {
  BACKUP_IMAGE_IDLE_MS,
  BACKUP_IMAGES_MAX,
  BACKUP_PART_BYTES,
} from "../../../src/base/limits.ts";
import { BackupImages, type ImagedGroup } from "../../../src/serving/backup_images.ts";
import { ManualTime } from "../../support/manual_time.ts";

const PEER = { subject: "the administrator" } as AuthenticatedPeer;

/** A node with groups 1 to 9 whose images have that many bytes. */
class Node {
  readonly time = new ManualTime(0);
  refusal: RegistryError | undefined;
  bytes = BACKUP_PART_BYTES * 2.5;
  barriers = 0;
  readonly audited: string[] = [];
  isHosted = true;
  readonly images: BackupImages;

  constructor() {
    this.images = new BackupImages({
      nodeId: 3,
      clock: this.time,
      scheduler: this.time,
      audit: ({ subject }) => {
        this.audited.push(subject);
        return Promise.resolve();
      },
      find: (id) => id < 10 && this.isHosted ? this.#group(id) : undefined,
    });
  }

  readonly #groups = new Map<number, ImagedGroup>();

  #group(id: number): ImagedGroup {
    let group = this.#groups.get(id);
    if (group !== undefined) return group;
    const point = { appliedIndex: 7, term: 2, ageBoundMs: 0 };
    group = {
      group: {
        isLeading: id === 1,
        readBarrier: (maxStalenessMs: number) => {
          assert.is(maxStalenessMs, 0);
          this.barriers++;
          return Promise.resolve(this.refusal ?? point);
        },
        status: () => point,
      } as unknown as ImagedGroup["group"],
      image: () => Promise.resolve(new Uint8Array(this.bytes).fill(id)),
      recordCount: () => 5,
    };
    this.#groups.set(id, group);
    return group;
  }

  async read(request: Partial<ReadImageRequest> = {}) {
    const whole = { groupId: 1, imageId: 0, offset: 0, ...request };
    return await this.images.read(whole, PEER, 1_000);
  }

  async codeOf(request: Partial<ReadImageRequest> = {}): Promise<string> {
    return await this.read(request).then(() => "ok", (error) => toRegistryError(error).code);
  }
}

test("BackupImages: an image is read in parts at a point that is linearizable", async () => {
  const node = new Node();
  const first = await node.read();
  const { part, imageId, ...about } = first;
  assert.equal(about, {
    ...{ nodeId: 3, isLeader: true, index: 7, term: 2 },
    ...{ totalBytes: node.bytes, records: 5 },
  });
  const parts = [part];
  for (let offset = part.length; offset < node.bytes;) {
    const next = await node.read({ imageId, offset });
    parts.push(next.part);
    offset += next.part.length;
  }
  assert.equal(parts.map(({ length }) => length / BACKUP_PART_BYTES), [1, 1, 0.5]);
  assert.ok(concatBytes(parts).every((byte) => byte === 1));
  assert.is(node.barriers, 1);
  // A part is repeated when its reply was lost.
  assert.equal((await node.read({ imageId, offset: BACKUP_PART_BYTES })).part, parts[1]);
  assert.is((await node.read({ groupId: 2 })).isLeader, false);
});

test("BackupImages: a group that is not here, and one that cannot be read now, give no image", async () => {
  const node = new Node();
  assert.is(await node.codeOf({ groupId: 10 }), "not_replica");
  node.refusal = new RegistryError("not_leader", "no leader");
  assert.is(await node.codeOf(), "not_leader");
  node.refusal = undefined;
  // The replica is removed while the leader is asked.
  const reading = node.codeOf();
  node.isHosted = false;
  assert.is(await reading, "not_replica");
});

test("BackupImages: an image that is unknown, of another group or shorter is not found", async () => {
  const node = new Node();
  const { imageId } = await node.read();
  assert.is(await node.codeOf({ imageId: 99 }), "not_found");
  assert.is(await node.codeOf({ imageId, groupId: 2 }), "not_found");
  assert.is(await node.codeOf({ imageId, offset: node.bytes + 1 }), "not_found");
});

test("BackupImages: a backup is audited once, with the image of group 0", async () => {
  const node = new Node();
  await node.read({ groupId: 1 });
  const { imageId } = await node.read({ groupId: 0 });
  await node.read({ groupId: 0, imageId, offset: BACKUP_PART_BYTES });
  assert.equal(node.audited, ["the administrator"]);
});

test("BackupImages: few images are kept, one that was read makes room, and so does one left alone", async () => {
  const node = new Node();
  const { imageId } = await node.read();
  for (let count = 1; count < BACKUP_IMAGES_MAX; count++) await node.read();
  assert.is(await node.codeOf(), "overloaded");
  await node.read({ imageId, offset: BACKUP_PART_BYTES * 2 });
  assert.is(await node.codeOf(), "ok");
  assert.is(await node.codeOf({ imageId, offset: 0 }), "not_found");
  assert.is(await node.codeOf(), "overloaded");
  node.time.advance(BACKUP_IMAGE_IDLE_MS);
  assert.is(await node.codeOf(), "ok");
  node.time.advance(BACKUP_IMAGE_IDLE_MS * 2);
  assert.is(node.time.timerCount, 0);
});

test("BackupImages: small images are not kept, and none after the end", async () => {
  const node = new Node();
  node.bytes = 100;
  const { imageId } = await node.read();
  assert.is(node.time.timerCount, 0);
  assert.is(await node.codeOf({ imageId, offset: 50 }), "not_found");
  node.bytes = BACKUP_PART_BYTES + 1;
  await node.read();
  assert.is(node.time.timerCount, 1);
  node.images.stop();
  await node.read();
  assert.is(node.time.timerCount, 0);
});

test.run();
