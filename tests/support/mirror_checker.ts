/**
 * The rules of mirrors, checked after each step of a test: a mirror is what its home had at that change,
 * never left its region then, never goes back, and ends only after its home ended the record.
 */
import * as assert from "uvu/assert";
import { KIND_MIRROR } from "../../src/record/key.ts";
import { compareOrders, type MirrorOrder } from "../../src/store/mirrors/mirror_sources.ts";
import type { MirrorHome } from "./mirror_home.ts";
import { numberOf } from "./mirror_puller.ts";
import type { MirrorHarness } from "./mirrors.ts";

/** Checks the mirrors of one home. */
export class MirrorChecker {
  readonly #home: MirrorHome;
  readonly #here: readonly MirrorHarness[];
  /** The last change that was seen of a record, and whether it was its end. */
  readonly #seen = new Map<number, { readonly order: MirrorOrder; readonly isEnd: boolean }>();
  /** Counts of things that happened, so that a run which shows nothing is noticed. */
  readonly happened = { mirrored: 0, ended: 0 };

  /** @param here the partitions that have its mirrors. */
  constructor(home: MirrorHome, here: readonly MirrorHarness[]) {
    this.#home = home;
    this.#here = here;
  }

  /** Checks each record against what was seen of it before, and against its home. */
  check(): void {
    const mirrors = this.#mirrors();
    for (const [number, { order, port }] of mirrors) {
      const content = this.#home.contentAt(number, order);
      assert.ok(content, `${number}: the home had ${JSON.stringify(order)}`);
      assert.is(port, content.port);
      assert.ok(content.isGlobal, `${number} never left its region`);
      const seen = this.#seen.get(number);
      const compared = seen === undefined ? 1 : compareOrders(order, seen.order);
      const isForward = seen?.isEnd === true ? compared > 0 : compared >= 0;
      assert.ok(
        isForward,
        `${number} went back from ${JSON.stringify(seen)} to ${JSON.stringify(order)}`,
      );
      if (compared > 0) this.happened.mirrored++;
      this.#seen.set(number, { order, isEnd: false });
    }
    for (const [number, { order, isEnd }] of this.#seen) {
      if (isEnd || mirrors.has(number)) continue;
      const end = this.#home.endAfter(number, order);
      assert.ok(end, `${number} ended without evidence after ${JSON.stringify(order)}`);
      this.happened.ended++;
      this.#seen.set(number, { order: end, isEnd: true });
    }
  }

  /** Returns the change that each mirror is of. */
  orders(): Map<number, MirrorOrder> {
    return new Map(Array.from(this.#mirrors(), ([number, { order }]) => [number, order]));
  }

  #mirrors(): Map<number, { readonly order: MirrorOrder; readonly port: number }> {
    const mirrors = new Map<number, { readonly order: MirrorOrder; readonly port: number }>();
    for (const { store } of this.#here) {
      store.forEachSlot(KIND_MIRROR, (slot) => {
        const { id, feed, revision } = store.mirrors.view(slot).toPlain();
        const { port } = store.mirrors.recordView(slot).toPlain() as unknown as { port: number };
        mirrors.set(numberOf(id), { order: { feed, revision }, port });
      });
    }
    return mirrors;
  }
}
