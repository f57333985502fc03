/**
 * The founding of a cluster: the parameters that are fixed when it is created. The first command is the
 * genesis. A second one is refused, so that a node with a lost disk cannot found another cluster over
 * this one.
 */
import {
  commandCodec,
  type CommandView,
  type GenesisCommand,
  genesisCommandCodec,
  GenesisCommandView,
} from "../../../schemas/gen/command.ts";
import { RegistryError } from "../../base/errors.ts";
import { isNilUuid } from "../../base/uuid.ts";
import { COMMAND_KINDS, type CommandHeader } from "../../record/command.ts";
import { isPartitionCount } from "../../ring/partition.ts";
import { type Effect, invalid, type SubMachine } from "../sub_machine.ts";

/** The parameters fixed at a cluster's creation. */
export type Genesis = Readonly<GenesisCommand>;

/** The genesis, once there is one. */
export class FoundingState implements SubMachine {
  readonly section = 1;
  readonly kinds = [COMMAND_KINDS.genesis];
  #genesis: Genesis | undefined;

  /** Parameters of the cluster; `undefined` before the genesis. */
  get genesis(): Genesis | undefined {
    return this.#genesis;
  }

  /** Refuses what needs a cluster. @throws RegistryError `invalid_argument` before the genesis. */
  checkCreated(): Genesis {
    if (this.#genesis === undefined) throw invalid("Cluster must be created first: it is not");
    return this.#genesis;
  }

  apply(command: CommandView): Effect {
    const genesis = command.bodyInto(new GenesisCommandView()).toPlain();
    if (this.#genesis !== undefined) {
      throw new RegistryError(
        "wrong_cluster",
        "Cluster must not exist yet: it was created already",
      );
    }
    if (isNilUuid(genesis.clusterId)) throw invalid("Cluster id must not be nil: it is");
    if (!isPartitionCount(genesis.partitionCount)) {
      throw invalid(
        `Partition count must be a power of two up to 8,192: found ${genesis.partitionCount}`,
      );
    }
    if (genesis.generation === 0) throw invalid("Generation must be at least 1: found 0");
    this.#genesis = Object.freeze(genesis);
    return { changesRing: true };
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    if (this.#genesis === undefined) return;
    const header = { ...from, kind: COMMAND_KINDS.genesis };
    yield commandCodec.encode(header, genesisCommandCodec, this.#genesis);
  }

  load(command: CommandView): void {
    this.apply(command);
  }

  loaded(): void {}
}
