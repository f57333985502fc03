/** A service beside a node: when it is started again, and when not. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import {
  SERVICE_PAUSE_MS_BASE,
  SERVICE_PAUSE_MS_CAP,
  SERVICE_STABLE_MS,
} from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { SupervisedService } from "../../../src/cli/supervised_service.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

/** Runs of a service that a test ends. */
class Scene {
  readonly world = new SteppedWorld(1);
  /** Times at which runs were started, ms. */
  readonly startedMs: number[] = [];
  /** Errors with which the next runs fail at their start; without one, a run serves. */
  readonly failures: RegistryError[] = [];
  stopped = 0;
  #end: (() => void) | undefined;

  readonly service = new SupervisedService<number>({
    name: "front",
    run: () => {
      this.startedMs.push(this.world.nowMs());
      const ended = Promise.withResolvers<{ code: number; signal: null }>();
      this.#end = () => ended.resolve({ code: 1, signal: null });
      const failure = this.failures.shift();
      return Promise.resolve({
        ready: () => failure === undefined ? Promise.resolve(7) : Promise.reject(failure),
        ended: ended.promise,
        stop: () => {
          this.stopped++;
          this.#end?.();
          return Promise.resolve();
        },
      });
    },
    logger: SILENT_LOGGER,
    scheduler: this.world.scheduler,
    clock: this.world.monotonic,
  });

  /** Ends the current run, as a crash does. */
  async crash(): Promise<void> {
    this.#end?.();
    await this.world.settle();
  }
}

test("SupervisedService starts a service that ended again, after pauses that grow up to a bound", async () => {
  const scene = new Scene();
  assert.is(await scene.world.wait(scene.service.start()), 7);
  const pauses: number[] = [];
  for (let count = 0; count < 10; count++) {
    const crashedMs = scene.world.nowMs();
    await scene.crash();
    await scene.world.pass(SERVICE_PAUSE_MS_CAP);
    pauses.push(scene.startedMs.at(-1)! - crashedMs);
  }
  assert.equal(pauses.slice(0, 4), [1, 2, 4, 8].map((factor) => factor * SERVICE_PAUSE_MS_BASE));
  assert.equal(pauses.slice(-2), [SERVICE_PAUSE_MS_CAP, SERVICE_PAUSE_MS_CAP]);
  assert.is(scene.service.restarts, 10);
  await scene.world.wait(scene.service.stop());
});

test("SupervisedService: a service that stayed up is started again at once", async () => {
  const scene = new Scene();
  await scene.world.wait(scene.service.start());
  for (let count = 0; count < 3; count++) {
    await scene.world.pass(SERVICE_STABLE_MS);
    const crashedMs = scene.world.nowMs();
    await scene.crash();
    await scene.world.pass(SERVICE_PAUSE_MS_BASE);
    assert.is(scene.startedMs.at(-1)! - crashedMs, SERVICE_PAUSE_MS_BASE);
  }
  await scene.world.wait(scene.service.stop());
});

test("SupervisedService goes on after restarts that fail", async () => {
  const scene = new Scene();
  await scene.world.wait(scene.service.start());
  const failure = new RegistryError("connection_lost", "The node is busy");
  scene.failures.push(failure, failure);
  await scene.crash();
  await scene.world.pass(10 * SERVICE_PAUSE_MS_BASE);
  assert.is(scene.service.restarts, 3);
  assert.is(scene.stopped, 2, "what did not start is ended");
  await scene.world.wait(scene.service.stop());
});

test("SupervisedService: a first run that fails is told, and none follows", async () => {
  const scene = new Scene();
  scene.failures.push(new RegistryError("invalid_configuration", "The port is taken"));
  const refused = scene.service.start().then(() => "ok", ({ code }) => code as string);
  assert.is(await scene.world.wait(refused), "invalid_configuration");
  await scene.world.pass(2 * SERVICE_PAUSE_MS_CAP);
  assert.is(scene.startedMs.length, 1);
  await scene.world.wait(scene.service.stop());
});

test("SupervisedService: stopped, it starts nothing any more, not even in a pause", async () => {
  for (const isInPause of [false, true]) {
    const scene = new Scene();
    await scene.world.wait(scene.service.start());
    if (isInPause) await scene.crash();
    await scene.world.wait(scene.service.stop());
    await scene.world.pass(2 * SERVICE_PAUSE_MS_CAP);
    assert.is(scene.startedMs.length, 1);
    assert.is(scene.service.restarts, 0);
  }
});

test.run();
