/**
 * Raises the apply version of a partition when something is to be logged in it that earlier programs do
 * not know. A partition that needs no newer version keeps the one that it has, at no cost.
 */
import { RegistryError } from "../base/errors.ts";
import { VERSION_RETRY_MS } from "../base/limits.ts";
import { encodeRaisePartitionVersion } from "../record/command.ts";
import type { Partition } from "./partitions.ts";
import { type Proposer, refusalOf } from "./proposer.ts";

/** Raises apply versions of partitions that this node leads. */
export class PartitionVersions {
  readonly #proposer: Proposer;
  readonly #clusterVersion: () => number;

  /** @param clusterVersion returns the apply version of group 0, which all members support. */
  constructor(proposer: Proposer, clusterVersion: () => number) {
    this.#proposer = proposer;
    this.#clusterVersion = clusterVersion;
  }

  /**
   * Returns once the partition has the version.
   *
   * @throws RegistryError `overloaded` while a member runs a program that does not know it; another code
   * if the raise was not logged.
   */
  async ensure(partition: Partition, version: number, deadlineMs: number): Promise<void> {
    const { store } = partition;
    if (store.applyVersion >= version) return;
    const clusterVersion = this.#clusterVersion();
    if (clusterVersion < version) {
      throw new RegistryError(
        "overloaded",
        `The cluster must have apply version ${version}, and has ${clusterVersion}: it rises once all ` +
          "nodes run a program that knows that version",
        { retryAfterMs: VERSION_RETRY_MS },
      );
    }
    const to = Math.min(clusterVersion, store.applyVersionMax);
    const command = encodeRaisePartitionVersion(this.#proposer.header(partition, 0), to);
    const { outcome } = await this.#proposer.propose(partition, command, deadlineMs);
    // Refused: another request has raised it.
    if (store.applyVersion < version) throw refusalOf(outcome);
  }
}
