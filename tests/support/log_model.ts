/**
 * A dumb model of the shared log: what was submitted, in order, as functions on plain texts. A crash
 * may leave the state after any prefix of it that holds all that was acknowledged.
 *
 * Images from a leader stand in the log where their file was ready, which only their answer tells:
 * until then they may have happened, or not, at the end of what their group submitted.
 */
import * as assert from "uvu/assert";
import type { RegistryError } from "../../src/base/errors.ts";

/** What a group's log says, images and entries alike: its texts by index, and its hard state. */
export interface GroupState {
  texts: string[];
  hardTerm: number;
}

/** By group. */
export type LogState = GroupState[];

interface Submitted {
  readonly apply: (state: LogState) => void;
}

interface Install extends Submitted {
  /** What was submitted for the group later, another replica's, undoes it. */
  undoneBy: Submitted | undefined;
  readonly group: number;
}

/** Told how a submission ended, and whether nothing more can be known of it. */
export type Answer = (error: RegistryError | undefined, poisoned: boolean) => void;

/** What a log may hold. */
export class LogModel {
  /** The state that the last recovery found; the log must not lose any of it. */
  #base: LogState;
  #submitted: Submitted[] = [];
  #acknowledged = 0;
  #installs: Install[] = [];

  constructor(groupCount: number) {
    this.#base = Array.from({ length: groupCount }, () => ({ texts: [], hardTerm: 0 }));
  }

  /** Takes a submission; the answer is for its `done`. */
  submit(apply: (state: LogState) => void): Answer {
    const submitted = { apply };
    this.#submitted.push(submitted);
    return (error, poisoned) => {
      if (error === undefined) {
        assert.is(this.#submitted[this.#acknowledged], submitted, "answers come in order");
        this.#acknowledged++;
      } else if (!poisoned) {
        // It is out of the log, and with it all that came after. After poison nobody knows.
        const at = this.#submitted.indexOf(submitted);
        assert.ok(at >= this.#acknowledged);
        this.#submitted.splice(at, 1);
      }
    };
  }

  /** The submission just made was refused. */
  refused(): void {
    this.#submitted.pop();
  }

  /** As {@link submit}, of another replica: an install on its way will not be seen behind it. */
  forget(group: number): Answer {
    const answer = this.submit((state) => state[group] = { texts: [], hardTerm: 0 });
    const forget = this.#submitted.at(-1);
    for (const install of this.#installs) {
      if (install.group === group) install.undoneBy ??= forget;
    }
    return answer;
  }

  /** Takes an image from a leader. */
  install(group: number, texts: readonly string[]): Answer {
    const apply = (state: LogState) => void (state[group]!.texts = [...texts]);
    const install: Install = { apply, undoneBy: undefined, group };
    this.#installs.push(install);
    return (error, poisoned) => {
      if (error !== undefined && poisoned) return;
      this.#installs.splice(this.#installs.indexOf(install), 1);
      if (error === undefined) this.#submitted.splice(this.#acknowledged++, 0, install);
    };
  }

  /** True while an image from a leader is on its way to the replica that the group has. */
  isInstalling(group: number): boolean {
    return this.#installs.some((install) =>
      install.group === group && install.undoneBy === undefined
    );
  }

  /** The state when all that was submitted is taken as done, but for images from leaders. */
  hoped(): LogState {
    return this.#after(this.#submitted.length);
  }

  /** The state of what was acknowledged. */
  acknowledged(): LogState {
    return this.#after(this.#acknowledged);
  }

  /** Checks what a recovery found, and goes on from there. */
  recovered(found: LogState, where: string): void {
    const state = this.acknowledged();
    let matches = this.#matches(state, found, this.#acknowledged);
    for (let at = this.#acknowledged; at < this.#submitted.length && !matches; at++) {
      this.#submitted[at]!.apply(state);
      matches = this.#matches(state, found, at + 1);
    }
    assert.ok(
      matches,
      `${where}: recovered ${summary(found)} is no state between ${
        summary(this.acknowledged())
      }, ` +
        `acknowledged, and ${summary(this.hoped())}, submitted`,
    );
    this.#base = found;
    this.#submitted = [];
    this.#acknowledged = 0;
    this.#installs = [];
  }

  #after(count: number): LogState {
    const state = structuredClone(this.#base);
    for (const { apply } of this.#submitted.slice(0, count)) apply(state);
    return state;
  }

  /** True when some of the installs that may have happened by then make the two alike. */
  #matches(state: LogState, found: LogState, count: number): boolean {
    const known = new Set(this.#submitted.slice(0, count));
    const open = this.#installs.filter(({ undoneBy }) =>
      undoneBy === undefined || !known.has(undoneBy)
    );
    return found.every((group, id) => {
      if (isEqual(group, state[id]!)) return true;
      return open.some((install) => {
        if (install.group !== id) return false;
        const with_ = structuredClone(state);
        install.apply(with_);
        return isEqual(group, with_[id]!);
      });
    });
  }
}

function isEqual(left: GroupState, right: GroupState): boolean {
  return left.hardTerm === right.hardTerm && left.texts.length === right.texts.length &&
    left.texts.every((text, at) => text === right.texts[at]);
}

/** How long each group is and how it ends, for a message that a person can read. */
function summary(state: LogState): string {
  return state.map(({ texts, hardTerm }) => {
    const tail = texts.slice(-4).map((text) => text.replace(/x+$/, "x"));
    return `[${texts.length}: …${tail.join(" ")}; ${hardTerm}]`;
  }).join(" ");
}
