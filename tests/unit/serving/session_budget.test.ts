/** Memory held for sessions: which sessions wait, and which are ended when it is too much. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ErrorCode } from "../../../src/base/errors.ts";
import { SessionBudget } from "../../../src/serving/session_budget.ts";

const LIMITS = {
  nodeBytesMax: 1_000,
  identityBytesMax: 500,
  sessionRepliesHigh: 100,
  sessionRepliesLow: 20,
  streamRepliesMax: 200,
};

class Scene {
  readonly budget = new SessionBudget(LIMITS);
  readonly ended: [name: string, code: ErrorCode][] = [];

  session(name: string, identity?: string) {
    const account = this.budget.open({
      endFor: (code) => void this.ended.push([name, code]),
    });
    if (identity !== undefined) account.identify(identity);
    return account;
  }
}

async function isPending(promise: Promise<void>): Promise<boolean> {
  let pending = true;
  void promise.then(() => pending = false);
  await new Promise((resolve) => setTimeout(resolve));
  return pending;
}

test("a session is full at the high mark, and has room again at the low one", async () => {
  const account = new Scene().session("a");
  account.change(99, 400);
  assert.is(account.isFull, false, "Frames that are not finished stop no answers");
  account.change(1, 0);
  assert.is(account.isFull, true);
  const room = account.room();
  account.change(-79, 0);
  assert.is(await isPending(room), true);
  account.change(-1, 0);
  assert.is(await isPending(room), false);
});

test("the session of an identity that holds most is ended when the identity holds too much", () => {
  const scene = new Scene();
  const small = scene.session("small", "spiffe://one");
  const large = scene.session("large", "spiffe://one");
  scene.session("other", "spiffe://two").change(400, 0);
  small.change(0, 200);
  large.change(0, 300);
  assert.equal(scene.ended, []);
  small.change(0, 1);
  assert.equal(scene.ended, [["large", "overloaded"]]);
  assert.is(scene.budget.repliesBytes + scene.budget.framesBytes, 601);
  large.change(1_000, 1_000);
  assert.is(scene.budget.repliesBytes, 400, "What is ended counts no more");
  assert.equal([...scene.budget.ended], [["memory", 1]]);
});

test("a node that holds too much ends the session of the largest holder first, by identity", () => {
  const scene = new Scene();
  const alone = scene.session("alone");
  alone.change(350, 0);
  const [first, second] = [scene.session("first", "x"), scene.session("second", "x")];
  first.change(210, 0);
  second.change(200, 0);
  scene.session("late").change(250, 0);
  assert.equal(scene.ended, [["first", "overloaded"]], "Its identity holds 410");
  first.close();
  second.close();
  alone.close();
  assert.is(scene.budget.repliesBytes, 250);
});

test("a session that is over wakes who waits for room, once and for all", async () => {
  const account = new Scene().session("a");
  account.change(500, 0);
  const room = account.room();
  account.close();
  account.close();
  assert.is(await isPending(room), false);
  account.change(500, 0);
  assert.equal([account.isFull, account.isClosed], [false, true]);
});

test.run();
