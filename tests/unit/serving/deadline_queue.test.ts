/** DeadlineQueue compared with a simple model: an unsorted list of deadlines. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { DeadlineQueue } from "../../../src/serving/deadline_queue.ts";

test("DeadlineQueue takes the items that are due, the earliest first, whatever was set and moved", () => {
  for (let seed = 1; seed <= 30; seed++) {
    const entropy = new SeededEntropy(seed);
    const count = 1 + Math.floor(entropy.unit() * 40);
    const queue = new DeadlineQueue(count);
    const model = new Map<number, number>();
    const earliestMs = () => Math.min(Infinity, ...model.values());
    for (let step = 0; step < 400; step++) {
      if (entropy.unit() < 0.6) {
        const item = Math.floor(entropy.unit() * count);
        const deadlineMs = entropy.unit() < 0.15 ? Infinity : Math.floor(entropy.unit() * 100);
        queue.set(item, deadlineMs);
        if (deadlineMs === Infinity) model.delete(item);
        else model.set(item, deadlineMs);
      } else {
        const nowMs = Math.floor(entropy.unit() * 60);
        const dueMs = earliestMs();
        const item = queue.takeDue(nowMs);
        assert.is(item !== undefined, dueMs <= nowMs, `seed ${seed}, step ${step}`);
        if (item !== undefined) {
          assert.is(model.get(item), dueMs);
          model.delete(item);
        }
      }
      assert.is(queue.nextMs, earliestMs(), `seed ${seed}, step ${step}`);
    }
  }
});

test.run();
