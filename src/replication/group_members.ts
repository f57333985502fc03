/** The members of a group, as one of its replicas has applied them. */
import type { ReplicaId } from "../base/ids.ts";
import type { Configuration } from "../raft/mod.ts";
import { isSoleVoter } from "./log_entry.ts";

/** The configuration of a group, and what follows from it for one replica. */
export class GroupMembers {
  readonly #replica: ReplicaId;
  #configuration: Configuration;
  #isSole: boolean;
  #isAlone: boolean;

  constructor(replica: ReplicaId, configuration: Configuration) {
    this.#replica = replica;
    this.#configuration = configuration;
    this.#isSole = isSoleVoter(configuration, replica);
    this.#isAlone = this.#isSole && configuration.learners.length === 0;
  }

  /** The configuration, as applied by this replica. */
  get configuration(): Configuration {
    return this.#configuration;
  }

  /** Whether this replica is the only voter. */
  get isSole(): boolean {
    return this.#isSole;
  }

  /** Whether this replica is the only member: no other voters and no learners. */
  get isAlone(): boolean {
    return this.#isAlone;
  }

  /** Sets the configuration. Returns true if {@link isAlone} changed. */
  set(configuration: Configuration): boolean {
    const wasAlone = this.#isAlone;
    this.#configuration = configuration;
    this.#isSole = isSoleVoter(configuration, this.#replica);
    this.#isAlone = this.#isSole && configuration.learners.length === 0;
    return wasAlone !== this.#isAlone;
  }
}
