/** The feed of a node's events: passes the events of all partitions to those who follow them. */
import type { EventSink, StoreEvent } from "./event.ts";

/** Passes events to followers, in the order in which these were added. */
export class EventFeed implements EventSink {
  readonly #followers: Partial<EventSink>[] = [];

  /** Adds a follower, which receives events from now on. */
  follow(follower: Partial<EventSink>): void {
    this.#followers.push(follower);
  }

  onEvent(event: StoreEvent): void {
    for (const follower of this.#followers) follower.onEvent?.(event);
  }

  onBegin(partition: number, index: number): void {
    for (const follower of this.#followers) follower.onBegin?.(partition, index);
  }
}
