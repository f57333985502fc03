/** The puller of a mirrored plane: what it asks and logs, and how it waits for a home that is away. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { MirroredEntry } from "../../../schemas/gen/governance.ts";
import type { GovernedLogRequest } from "../../../schemas/gen/wire.ts";
import { type ErrorCode, RegistryError } from "../../../src/base/errors.ts";
import {
  GOVERNED_FOLLOW_RETRY_MS_MAX,
  GOVERNED_FOLLOW_WAIT_MS,
  GOVERNED_MIRROR_LOOK_MS,
  GOVERNED_MIRROR_REFUSED_MS,
} from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { PlanePuller } from "../../../src/region/plane_puller.ts";
import type { LedMirror } from "../../../src/serving/governance/plane_mirror.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

/** An entry as a node sends it; only the state machine reads it. */
const RECORD = {
  ...{ leaf: Uint8Array.of(1), payload: Uint8Array.of(2), leafHash: Uint8Array.of(3) },
  ...{
    contentHash: Uint8Array.of(4),
    id: "x",
    kind: "service",
    idVersion: 1,
    proposal: 1,
    signers: 0,
  },
};

/** A puller of a home that has one entry. */
class Scene {
  readonly world = new SteppedWorld();
  readonly asked: (GovernedLogRequest & { readonly region: string })[] = [];
  readonly taken: { readonly after: number; readonly entries: readonly MirroredEntry[] }[] = [];
  mirror: LedMirror | undefined = { home: "eu-1", version: 0 };
  unreachable = false;
  refusal: ErrorCode | undefined;
  releases = 0;
  warnings = 0;
  readonly puller = new PlanePuller({
    source: {
      read: (region, request) => {
        this.asked.push({ ...request, region });
        if (this.unreachable) return Promise.reject(new RegistryError("connection_lost", "cut"));
        const entries = request.after === 0 ? [RECORD] : [];
        return Promise.resolve({ version: 1, ageBoundMs: 0, genesis: new Uint8Array(0), entries });
      },
      release: () => void this.releases++,
    },
    mirror: () => this.mirror,
    take: (after, entries) => {
      if (this.refusal !== undefined) {
        return Promise.reject(new RegistryError(this.refusal, "refused"));
      }
      this.taken.push({ after, entries });
      this.mirror = { home: "eu-1", version: after + entries.length };
      return Promise.resolve();
    },
    world: this.world,
    logger: { ...SILENT_LOGGER, warn: () => void this.warnings++ },
  });
}

test("PlanePuller logs the documents of entries with the version that they follow", async () => {
  const scene = new Scene();
  scene.puller.start();
  await scene.world.pass(1_000);
  const { leaf, payload } = RECORD;
  assert.equal(scene.taken, [{ after: 0, entries: [{ leaf, payload }] }]);
  assert.equal(scene.asked[0], {
    ...{ after: 0, waitMs: GOVERNED_FOLLOW_WAIT_MS, knowsGenesis: true, id: "", region: "eu-1" },
  });
  assert.is(scene.asked[1]!.after, 1);
  assert.ok(scene.asked.length <= 12, "a home that does not wait is not asked all the time");
  assert.ok(scene.puller.contactAgeMs("eu-1")! <= 100);
  assert.is(scene.puller.contactAgeMs("ap-1"), undefined);
  scene.puller.stop();
});

test("PlanePuller asks nobody while this node leads no mirror, and keeps no link then", async () => {
  const scene = new Scene();
  scene.mirror = undefined;
  scene.puller.start();
  await scene.world.pass(3 * GOVERNED_MIRROR_LOOK_MS);
  assert.is(scene.asked.length, 0);
  assert.ok(scene.releases > 0);
  scene.mirror = { home: "eu-1", version: 0 };
  await scene.world.pass(GOVERNED_MIRROR_LOOK_MS + 1);
  assert.is(scene.taken.length, 1);
  scene.puller.stop();
  const { length } = scene.asked;
  await scene.world.pass(60_000);
  assert.is(scene.asked.length, length, "stopped");
});

test("PlanePuller asks a home that is away ever more seldom, and at once again when it is back", async () => {
  const scene = new Scene();
  scene.unreachable = true;
  scene.puller.start();
  await scene.world.pass(10 * GOVERNED_FOLLOW_RETRY_MS_MAX);
  assert.ok(scene.asked.length > 10 && scene.asked.length < 35, `${scene.asked.length} requests`);
  assert.is(scene.puller.contactAgeMs("eu-1"), undefined);
  assert.is(scene.warnings, 0);
  scene.unreachable = false;
  await scene.world.pass(GOVERNED_FOLLOW_RETRY_MS_MAX + 1);
  assert.is(scene.taken.length, 1);
  scene.puller.stop();
});

test("PlanePuller warns once of entries that are refused, and waits for somebody to act", async () => {
  const scene = new Scene();
  scene.refusal = "no_quorum";
  scene.puller.start();
  await scene.world.pass(10 * GOVERNED_MIRROR_REFUSED_MS);
  assert.is(scene.warnings, 1);
  assert.ok(scene.asked.length > 10 && scene.asked.length < 40, `${scene.asked.length} requests`);
  scene.refusal = undefined;
  await scene.world.pass(GOVERNED_MIRROR_REFUSED_MS + 1);
  assert.is(scene.taken.length, 1);
  scene.puller.stop();
});

test.run();
