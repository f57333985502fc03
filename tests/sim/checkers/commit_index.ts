/**
 * The commit and applied indexes of a replica never decrease while its node runs, only committed
 * entries are applied, and the term never decreases. A restart may forget the newest of these, but
 * not the content of an image, which is durable.
 */
import {
  type Checker,
  Finding,
  type NodeView,
  type ReplicaRef,
  type ReplicaView,
} from "../history.ts";
import { replicaName } from "./replica_name.ts";

interface Marks {
  run: number;
  term: number;
  committed: number;
  applied: number;
}

/** Checks each replica of a node that ran. */
export class CommitIndex implements Checker {
  readonly name = "commit_index";
  readonly #marks = new Map<ReplicaRef, Marks>();
  /** The newest durable image of each replica. */
  readonly #images = new Map<ReplicaRef, number>();

  onImageDurable(ref: ReplicaRef, index: number): void {
    this.#images.set(ref, index);
  }

  afterStep(node: NodeView): void {
    for (const replica of node.replicas) this.#look(node.run, replica);
  }

  #look(run: number, { ref, term, committed, applied }: ReplicaView): void {
    const marks = this.#marks.get(ref);
    if (applied > committed) this.#fail(ref, `applied ${applied}, and committed only ${committed}`);
    if (marks === undefined || marks.run !== run) {
      const image = this.#images.get(ref) ?? 0;
      if (committed < image) {
        this.#fail(ref, `started at commit ${committed}, below its image at ${image}`);
      }
      this.#marks.set(ref, { run, term, committed, applied });
      return;
    }
    if (term < marks.term) this.#fail(ref, `went back from term ${marks.term} to ${term}`);
    if (committed < marks.committed) {
      this.#fail(ref, `took its commit back from ${marks.committed} to ${committed}`);
    }
    if (applied < marks.applied) {
      this.#fail(ref, `took its state back from ${marks.applied} to ${applied}`);
    }
    marks.term = term;
    marks.committed = committed;
    marks.applied = applied;
  }

  #fail(ref: ReplicaRef, what: string): never {
    const name = replicaName(ref);
    throw new Finding(this.name, `${name[0]!.toUpperCase()}${name.slice(1)} ${what}`);
  }
}
