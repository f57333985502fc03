/**
 * The deliveries that a watch owes in one partition: every change that concerns it, once and in order; or a
 * reset and the state, as of one place. Each step is compared with the truth.
 */
import { KIND_ALIAS } from "../../../src/record/key.ts";
import { Finding } from "../history.ts";
import {
  comparePlaces,
  concern,
  keyOfForm,
  leavesForm,
  nameOf,
  type Place,
  revisionOf,
  type TrueChange,
  type TrueFilter,
  type WatchTruth,
} from "./watch_truth.ts";

/** An event as a watch delivers it. */
export interface FollowedEvent extends Place {
  readonly type: number;
  readonly kind: number;
  readonly record: Uint8Array;
  readonly left: boolean;
}

/** A watch in one partition. */
export class WatchFollower {
  readonly #truth: WatchTruth;
  readonly #partition: number;
  readonly #filter: TrueFilter;
  /** Words for messages. */
  readonly #who: string;
  /** Where it is; undefined until it is told. */
  place: Place | undefined;
  /** The key up to which the state was received, while it is; "" for none of it. */
  listedTo: string | undefined;
  /** The key behind which this watch knows the state. */
  #knownFrom = "";
  /** Whether it knows the state, and not only changes. */
  #isComplete = false;
  /** Indexes of the last changes, by key. */
  readonly #records = new Map<string, number>();

  constructor(
    truth: WatchTruth,
    { partition, filter, who }: { partition: number; filter: TrueFilter; who: string },
  ) {
    this.#truth = truth;
    this.#partition = partition;
    this.#filter = filter;
    this.#who = `${who}, partition ${partition}`;
  }

  /** Begins with the state, or continues it behind a key. */
  list(after = ""): void {
    this.listedTo = this.#knownFrom = after;
  }

  /** Its history is gone: the state follows. */
  reset(place: Place): void {
    this.#checkForward(place);
    this.place = place;
    this.#records.clear();
    this.#isComplete = false;
    this.list();
  }

  /** A change is delivered. */
  change(event: FollowedEvent): void {
    const { place } = this;
    const found = this.#truth.of(this.#partition).find((one) => comparePlaces(one, event) === 0);
    const key = keyOfForm(event.kind, event.record);
    const what = `change ${event.index}.${event.ordinal} (type ${event.type} of ${key})`;
    if (place !== undefined && comparePlaces(event, place) <= 0) {
      this.#fail("watch_order", `${what} is delivered at ${placeName(place)}`);
    }
    if (found === undefined) this.#fail("watch_truth", `${what} is committed nowhere`);
    const wanted = concern(this.#filter, found);
    const isIt = found.key === key && found.type === event.type && wanted !== "none" &&
      event.left === (wanted === "left");
    if (!isIt) this.#fail("watch_truth", `${what} is delivered, and is in truth ${nameOf(found)}`);
    this.#checkNone(place, { index: event.index, ordinal: event.ordinal - 1 });
    this.place = { index: event.index, ordinal: event.ordinal };
    this.#note(found, event.left);
  }

  /** It has received everything up to a place. */
  moved(place: Place): void {
    this.#checkForward(place);
    this.#checkNone(this.place, place);
    this.place = place;
  }

  /** A record of the state is delivered, as of a place. */
  state(kind: number, form: Uint8Array, place: Place): void {
    const key = keyOfForm(kind, form);
    if (this.listedTo === undefined) this.#fail("watch_state", `${key} comes when none is due`);
    if (orderOf(key) < orderOf(this.listedTo)) {
      this.#fail("watch_state", `${key} comes behind ${this.listedTo}`);
    }
    const now = this.#truth.stateAt(this.#partition, place, this.#filter).get(key);
    const isNow = now !== undefined &&
      (kind === KIND_ALIAS || revisionOf(kind, form) === revisionOf(kind, now.form));
    if (!isNow) this.#fail("watch_state", `${key} is not what it is at ${placeName(place)}`);
    if (this.#records.has(key)) this.#fail("watch_state", `${key} comes twice`);
    this.listedTo = key;
    this.#records.set(key, now.index);
  }

  /** The state is complete, as of a place. */
  stateEnd(place: Place): void {
    this.moved(place);
    this.listedTo = undefined;
    this.#isComplete = true;
    this.checkState();
  }

  /** Checks that what is known of the records is what they are, if the state was received. */
  checkState(): void {
    const { place } = this;
    if (!this.#isComplete || place === undefined || this.listedTo !== undefined) return;
    const state = this.#truth.stateAt(this.#partition, place, this.#filter);
    const isKnown = (key: string) => orderOf(key) > orderOf(this.#knownFrom);
    for (const [key, { index }] of state) {
      if (!isKnown(key) || this.#records.get(key) === index) continue;
      this.#fail("watch_state", `${key} must be known as of ${index}: ${this.#records.get(key)}`);
    }
    for (const key of this.#records.keys()) {
      if (isKnown(key) && !state.has(key)) this.#fail("watch_state", `${key} is no more`);
    }
  }

  /** Returns the first change that it lacks of those applied before a true time. */
  lacks(beforeMs: number): TrueChange | undefined {
    const { place } = this;
    if (place === undefined || this.listedTo !== undefined) return undefined;
    const end = { index: Infinity, ordinal: Infinity };
    const isOld = ({ appliedMs }: TrueChange) => appliedMs < beforeMs;
    return this.#truth.firstBetween(this.#partition, place, end, this.#filter, isOld);
  }

  #note({ key, type, kind, index }: TrueChange, left: boolean): void {
    if (type === 5 && kind !== KIND_ALIAS) return;
    if (leavesForm(type) && !left) this.#records.set(key, index);
    else this.#records.delete(key);
  }

  /** Checks that nothing that concerns the watch lies between two places. */
  #checkNone(from: Place | undefined, to: Place): void {
    if (from === undefined) return;
    const { listedTo } = this;
    // What is still to come of the state needs not be delivered as changes.
    const isWanted = ({ key }: TrueChange) =>
      listedTo === undefined || orderOf(key) <= orderOf(listedTo);
    const missed = this.#truth.firstBetween(this.#partition, from, to, this.#filter, isWanted);
    if (missed === undefined) return;
    this.#fail("watch_complete", `${nameOf(missed)} is missing at ${placeName(to)}`);
  }

  #checkForward(place: Place): void {
    if (this.place === undefined || comparePlaces(place, this.place) >= 0) return;
    this.#fail("watch_order", `goes from ${placeName(this.place)} back to ${placeName(place)}`);
  }

  #fail(checker: string, what: string): never {
    throw new Finding(checker, `${this.#who}: ${what}`);
  }
}

function placeName({ index, ordinal }: Place): string {
  return `${index}.${ordinal}`;
}

/** Returns the part of a key by which states are ordered: the id, without the kind. */
function orderOf(key: string): string {
  return key.slice(key.indexOf(" ") + 1);
}
