/**
 * State machines are deterministic: at equal index, the replicas of a group have identical images,
 * byte by byte. Checked whenever an image is written or loaded, and for every replica at the end.
 */
import {
  type Checker,
  Finding,
  type ImageTaken,
  type ReplicaRef,
  type RunEnd,
} from "../history.ts";
import { replicaName } from "./replica_name.ts";

interface KnownImage {
  readonly ref: ReplicaRef;
  readonly hash: number;
  readonly term: number | undefined;
}

/** Records the hash of the first image at each index of each group. */
export class IdenticalImages implements Checker {
  readonly name = "identical_images";
  readonly #groups = new Map<number, Map<number, KnownImage>>();

  onImage(ref: ReplicaRef, { hash, index, term }: ImageTaken): void {
    this.#compare(index, { ref, hash, term });
  }

  onEnd({ view }: RunEnd): void {
    for (const { state, replicas } of view.nodes) {
      if (state === "down") continue;
      for (const replica of replicas) {
        const { applied, ref } = replica;
        if (replica.isFailed || applied === 0) continue;
        this.#compare(applied, { ref, hash: replica.imageHash(), term: undefined });
      }
    }
  }

  #compare(index: number, image: KnownImage): void {
    const { ref, hash, term } = image;
    let images = this.#groups.get(ref.group);
    if (images === undefined) this.#groups.set(ref.group, images = new Map());
    const known = images.get(index);
    if (known === undefined) {
      images.set(index, image);
      return;
    }
    const isSameTerm = term === undefined || known.term === undefined || term === known.term;
    if (known.hash === hash && isSameTerm) return;
    const what = isSameTerm ? "another state" : `another term (${term}, not ${known.term})`;
    throw new Finding(
      this.name,
      `At index ${index}, ${replicaName(ref)} has ${what} than ${replicaName(known.ref)}`,
    );
  }
}
