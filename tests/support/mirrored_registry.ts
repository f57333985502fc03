/** A whole registry with mirrors of other regions, put into its partitions as a puller does. */
import type { MirrorAliasItem, MirrorPut, MirrorRemoval } from "../../schemas/gen/command.ts";
import { type Agent, agentCodec, type Gateway, gatewayCodec } from "../../schemas/gen/record.ts";
import type { Input } from "../../schemas/runtime.ts";
import { assert } from "../../src/base/assert.ts";
import {
  type CommandHeader,
  encodeMirrorBatch,
  encodeMirrorFence,
  encodeRaisePartitionVersion,
} from "../../src/record/command.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS, KIND_GATEWAY } from "../../src/record/key.ts";
import type { Partition } from "../../src/serving/partitions.ts";
import { MIRRORS_APPLY_VERSION } from "../../src/store/apply_version.ts";
import { agentPut, at, type BatchFields, batchOf } from "./mirrors.ts";
import { type HarnessOptions, RegistryHarness } from "./registry_harness.ts";
import { gatewayBytes, idOf } from "./store.ts";

/** Changes of another region. */
export interface HomeChanges {
  readonly puts?: readonly Input<MirrorPut>[];
  readonly removals?: readonly Input<MirrorRemoval>[];
  readonly aliases?: readonly Input<MirrorAliasItem>[];
}

/** A registry of region `global` that mirrors others. */
export class MirroredRegistry {
  readonly harness: RegistryHarness;
  /** The ages of regions, ms; an absent one is not known. */
  readonly ages: Map<string, number>;
  /** The number of the last batch, by region and partition. */
  readonly #batches = new Map<string, number>();

  private constructor(harness: RegistryHarness, ages: Map<string, number>) {
    this.harness = harness;
    this.ages = ages;
  }

  /** Opens a registry with these peer regions, the preferred one first; all are known to be fresh. */
  static async open(
    regions: readonly string[],
    options: Omit<HarnessOptions, "regionFreshness"> = {},
  ): Promise<MirroredRegistry> {
    const ages = new Map(regions.map((region) => [region, 100]));
    const regionFreshness = {
      ageMs: (region: string, staleMs = 0) => {
        const ageMs = ages.get(region);
        return ageMs === undefined ? undefined : ageMs + staleMs;
      },
    };
    const harness = await RegistryHarness.open({ ...options, regionFreshness });
    const { registry, world } = harness;
    const pin = new Uint8Array(32);
    await world.wait(registry.putMember({ nodeId: 1, addresses: [], pin, nextPin: pin }));
    registry.placement.hurry();
    await world.pass(100);
    const peer = await harness.peer();
    for (const [index, name] of regions.entries()) {
      await peer.must("addRegion", {
        ...{ name, servers: ["192.0.2.7:4443"], bundle: "", preference: index + 1 },
        ...{ bytesPerSecondMax: 0, logPercentMax: 0 },
      });
    }
    return new MirroredRegistry(harness, ages);
  }

  /** Mirrors changes of a region. */
  async mirror(home: string, { puts = [], removals = [], aliases = [] }: HomeChanges) {
    const { table } = this.harness.registry;
    for (const put of puts) {
      const codec = put.kind === KIND_AGENT ? agentCodec : gatewayCodec;
      const { id } = codec.decode(put.record as Uint8Array);
      await this.#batch(home, table.held(put.kind, id), { puts: [put] });
    }
    for (const removal of removals) {
      const partition = table.held(removal.kind, removal.id as Uint8Array);
      await this.#batch(home, partition, { removals: [removal] });
    }
    for (const alias of aliases) {
      const partition = table.held(KIND_ALIAS, domainBytes(alias.domain));
      await this.#batch(home, partition, { aliases: [alias] });
    }
  }

  /** Mirrors an agent that holds a domain, and its gateway. */
  async mirrorAgent(
    home: string,
    number: number,
    { domain, gateway, index = 10 }: {
      readonly domain: string;
      readonly gateway?: number;
      readonly index?: number;
    },
  ): Promise<void> {
    const claim = at(index - 1);
    const gatewayId = gateway === undefined ? new Uint8Array(16) : idOf(gateway);
    const fields: Partial<Agent> = { domain, claim, gatewayId, region: home };
    await this.mirror(home, {
      puts: [
        agentPut(index, { number, ...fields }),
        ...(gateway === undefined ? [] : [gatewayPut(home, gateway, index)]),
      ],
      aliases: [{ domain, agentId: idOf(number), claim, revision: at(index) }],
    });
  }

  async #batch(home: string, partition: Partition, fields: BatchFields): Promise<void> {
    const key = `${home} ${partition.id}`;
    const number = (this.#batches.get(key) ?? 0) + 1;
    this.#batches.set(key, number);
    const { applyVersion } = partition.store;
    if (applyVersion < MIRRORS_APPLY_VERSION) {
      await this.#log(
        partition,
        (header) => encodeRaisePartitionVersion(header, MIRRORS_APPLY_VERSION),
      );
    }
    if (number === 1) {
      await this.#log(
        partition,
        (header) => encodeMirrorFence(header, { home, shard: 0, fence: 1_000 }),
      );
    }
    const batch = batchOf({ ...fields, home, fence: 1_000, number });
    await this.#log(partition, (header) => encodeMirrorBatch(header, batch));
  }

  async #log({ group }: Partition, command: (header: CommandHeader) => Uint8Array): Promise<void> {
    const header = { timeMs: Math.floor(group.timeMs()), unixS: 1, writer: 0 };
    const proposed = await this.harness.world.wait(group.propose(command(header), 5_000));
    assert(proposed.ok && proposed.outcome.code === "ok", "A command on mirrors must be applied");
  }
}

/** Returns the change of a gateway at a position of its home. */
export function gatewayPut(
  home: string,
  number: number,
  index: number,
  fields: Partial<Gateway> = {},
): Input<MirrorPut> {
  const record = gatewayBytes({ number, region: home, port: 4_000, ...fields });
  return { kind: KIND_GATEWAY, revision: at(index), record };
}
