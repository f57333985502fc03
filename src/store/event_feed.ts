/** The feed of a node's events: passes the events of all partitions to those who follow them. */
import type { EventSink, EventType, StoreEvent } from "./event.ts";

/** Passes events to followers, in the order in which these were added. */
export class EventFeed implements EventSink {
  /** Followers of all events. */
  readonly #all: EventSink[] = [];
  /** Followers of some types, which most events do not have. */
  readonly #some = new Map<EventType, Pick<EventSink, "onEvent">[]>();

  /** Adds a follower of all events, which receives them from now on. */
  follow(follower: EventSink): void {
    this.#all.push(follower);
  }

  /** Adds a follower of events of some types. */
  followTypes(types: readonly EventType[], follower: Pick<EventSink, "onEvent">): void {
    for (const type of types) {
      const others = this.#some.get(type);
      if (others === undefined) this.#some.set(type, [follower]);
      else others.push(follower);
    }
  }

  onEvent(event: StoreEvent): void {
    for (const follower of this.#all) follower.onEvent(event);
    const some = this.#some.get(event.type);
    if (some === undefined) return;
    for (const follower of some) follower.onEvent(event);
  }

  onBegin(partition: number, index: number): void {
    for (const follower of this.#all) follower.onBegin(partition, index);
  }
}
