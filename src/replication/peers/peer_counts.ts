/** Counts of the link to one node, for metrics. They only increase, and outlive sessions. */
import { type RegistryError, toRegistryError } from "../../base/errors.ts";
import type { LivenessEvent } from "../group_host.ts";

/** The counts of one link. */
export class PeerCounts {
  framesOut = 0;
  framesIn = 0;
  /** Bytes of frames and images. */
  bytesOut = 0;
  bytesIn = 0;
  /** Frames that were not sent because there was no session or the peer did not read. */
  framesDropped = 0;
  /** Images that arrived whole at the peer, and those that did not. */
  imagesOut = 0;
  imagesLost = 0;
  imagesIn = 0;
  /** Liveness beats to the peer, and those that it sent. */
  beatsOut = 0;
  beatsIn = 0;
  /** How often the peer's support for this node ended, and this node's support for the peer. */
  supportLost = 0;
  supportWithdrawn = 0;
  /** Frames with a probe or an answer, and the bytes that these take. */
  probesOut = 0;
  probesIn = 0;
  probeBytesOut = 0;
  probeBytesIn = 0;
  /** Sessions that were established. */
  sessions = 0;
  /** Attempts to dial that failed. */
  dialsFailed = 0;
  /** Input from the peer that was refused, by reason. */
  readonly #rejected = new Map<string, number>();

  /** Rejected input by reason: an error code, or a name for what a code does not tell apart. */
  get rejected(): ReadonlyMap<string, number> {
    return this.#rejected;
  }

  /** Counts an event of liveness. */
  liveness(event: LivenessEvent): void {
    switch (event) {
      case "beatOut":
        this.beatsOut++;
        break;
      case "beatIn":
        this.beatsIn++;
        break;
      case "lost":
        this.supportLost++;
        break;
      case "withdrawn":
        this.supportWithdrawn++;
    }
  }

  /** Counts rejected input. Reasons are constants of the program, so there are few. */
  reject(reason: string): void {
    this.#rejected.set(reason, (this.#rejected.get(reason) ?? 0) + 1);
  }

  /** Counts rejected input by the code of its error. */
  rejectError(error: unknown): RegistryError {
    const refused = toRegistryError(error);
    this.reject(refused.code);
    return refused;
  }

  /** Counts a probe or an answer. */
  probe(direction: "out" | "in", bytes: number): void {
    if (direction === "out") {
      this.probesOut++;
      this.probeBytesOut += bytes;
    } else {
      this.probesIn++;
      this.probeBytesIn += bytes;
    }
  }
}
