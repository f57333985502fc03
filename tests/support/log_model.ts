/**
 * A simple model of the shared log: the submissions in order, as functions on plain texts. A crash
 * may leave the state after any prefix of them that includes everything acknowledged.
 *
 * An image from a leader takes its place in the log when its file is ready, which only its answer
 * tells: until then it may or may not have been applied, after everything that its group submitted.
 */
import * as assert from "uvu/assert";
import type { RegistryError } from "../../src/base/errors.ts";

/**
 * The content of a group's log, images and entries alike: its texts by index, and its hard state.
 */
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
  /** A later submission for the group by another replica, which undoes this one. */
  undoneBy: Submitted | undefined;
  readonly group: number;
}

/**
 * Takes the outcome of a submission, and whether the log was poisoned, so that the rest is unknown.
 */
export type Answer = (error: RegistryError | undefined, poisoned: boolean) => void;

/** The possible contents of a log. */
export class LogModel {
  /** The state that the last recovery found; the log must not lose any of it. */
  #base: LogState;
  #submitted: Submitted[] = [];
  #acknowledged = 0;
  #installs: Install[] = [];

  constructor(groupCount: number) {
    this.#base = Array.from({ length: groupCount }, () => ({ texts: [], hardTerm: 0 }));
  }

  /** Records a submission; the returned function is for its `done`. */
  submit(apply: (state: LogState) => void): Answer {
    const submitted = { apply };
    this.#submitted.push(submitted);
    return (error, poisoned) => {
      if (error === undefined) {
        assert.is(this.#submitted[this.#acknowledged], submitted, "answers come in order");
        this.#acknowledged++;
      } else if (!poisoned) {
        // The submission is not in the log, and neither are all later ones. After poison that is
        // unknown.
        const at = this.#submitted.indexOf(submitted);
        assert.ok(at >= this.#acknowledged);
        this.#submitted.splice(at, 1);
      }
    };
  }

  /** Records that the latest submission was refused. */
  refused(): void {
    this.#submitted.pop();
  }

  /** Like {@link submit}, but by another replica: a pending install will not be seen after it. */
  forget(group: number): Answer {
    const answer = this.submit((state) => state[group] = { texts: [], hardTerm: 0 });
    const forget = this.#submitted.at(-1);
    for (const install of this.#installs) {
      if (install.group === group) install.undoneBy ??= forget;
    }
    return answer;
  }

  /** Records an image from a leader. */
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

  /** Reports whether an image from a leader is pending for the group's current replica. */
  isInstalling(group: number): boolean {
    return this.#installs.some((install) =>
      install.group === group && install.undoneBy === undefined
    );
  }

  /** Returns the state with all submissions applied except images from leaders. */
  hoped(): LogState {
    return this.#after(this.#submitted.length);
  }

  /** Returns the state of everything acknowledged. */
  acknowledged(): LogState {
    return this.#after(this.#acknowledged);
  }

  /** Checks the state that a recovery found, and continues from it. */
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

  /**
   * Reports whether the two are equal after some of the installs that may have happened by then.
   */
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

/** Describes the length and the end of each group, for messages. */
function summary(state: LogState): string {
  return state.map(({ texts, hardTerm }) => {
    const tail = texts.slice(-4).map((text) => text.replace(/x+$/, "x"));
    return `[${texts.length}: …${tail.join(" ")}; ${hardTerm}]`;
  }).join(" ");
}
