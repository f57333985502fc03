/**
 * The commit: one storage operation that writes a batch, syncs it, and then writes a mark. As one
 * operation it costs one change of threads instead of three.
 *
 * The order of the steps is the contract: the mark is written only after the sync succeeded, so it
 * never claims more than what is durable. It is not synced itself: a killed process leaves it in
 * the page cache, a power cut may leave an earlier one.
 */

/** A commit. */
export interface CommitOperation {
  readonly kind: "commit";
  /** An existing file. */
  readonly file: string;
  readonly position: number;
  readonly bytes: Uint8Array;
  /** Written at the end, to another file. */
  readonly mark: MarkWrite;
}

/** The write of a mark. */
export interface MarkWrite {
  readonly file: string;
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** A step of a commit, in their order. */
export const COMMIT_STEPS = ["write", "sync", "mark"] as const;
export type CommitStep = typeof COMMIT_STEPS[number];

/** The operation that performs one step of a commit. */
export type CommitStepOperation =
  | {
    readonly kind: "write";
    readonly file: string;
    readonly position: number;
    readonly bytes: Uint8Array;
  }
  | { readonly kind: "sync"; readonly file: string };

/** Returns the operation that performs `step` of a commit. */
export function commitStep(commit: CommitOperation, step: CommitStep): CommitStepOperation {
  const { file, position, bytes, mark } = commit;
  switch (step) {
    case "write":
      return { kind: "write", file, position, bytes };
    case "sync":
      return { kind: "sync", file };
    case "mark":
      return { kind: "write", ...mark };
  }
}

/** Returns the step after `step`, or `undefined` after the last one. */
export function stepAfter(step: CommitStep): CommitStep | undefined {
  return COMMIT_STEPS[COMMIT_STEPS.indexOf(step) + 1];
}
