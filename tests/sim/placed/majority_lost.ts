/**
 * The end of some runs: the cluster loses its majority while a client writes, one machine is recovered alone,
 * and the others, which are given up, come back with their old disks. Checked is that
 *
 * - what the survivor had durably of acknowledged writes is there, and what is not there was said to be lost;
 * - members that were given up change nothing at it, and clients of theirs neither;
 * - incarnations, tokens of watches and epochs of the ring of before are told from those of now;
 * - one of the others, with an empty folder, can join it, and gets replicas.
 */
import type { RecoveryPlan } from "../../../src/backup/unsafe_recovery.ts";
import { RegistryError, toRegistryError } from "../../../src/base/errors.ts";
import { generationOfTerm, groupOfPartition, partitionId } from "../../../src/base/ids.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import type { Client } from "../../../src/client/mod.ts";
import { Finding } from "../history.ts";
import { type Attempt, LastWriter } from "./last_writer.ts";
import type { PlacedCluster } from "./cluster.ts";
import type { PlacedMachine } from "./machine.ts";
import { recoveredAlone, type RemadeCluster } from "./remade.ts";

const NAME = "majority_lost";
/** Addresses of the clients on the wire. */
const WRITER = 400;
const READER = 401;
const MISLED = 402;
const RECORDS = 24;
const WRITES_MS = 1_500;
const LAGS_MS = 600;
/** Time in which members that were given up try what they can, ms. */
const OLD_MEMBERS_MS = 5_000;
const SERVES_MS_MAX = 30_000;
const JOINS_MS_MAX = 60_000;
const TOKEN_MS_MAX = 10_000;
const LOOK_MS = 50;

/** Has a cluster lose its majority. Checkers of one cluster with one history must have ended. */
export async function loseMajority(cluster: PlacedCluster): Promise<void> {
  await new MajorityLost(cluster).run();
}

class MajorityLost {
  readonly #cluster: PlacedCluster;
  readonly #entropy: SeededEntropy;
  readonly #writer: LastWriter;
  readonly #survivor: PlacedMachine;
  readonly #others: readonly PlacedMachine[];
  #recovered: RemadeCluster | undefined;

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
    this.#entropy = new SeededEntropy(cluster.plan.seed ^ 0x105e);
    const members = cluster.members.filter(({ registry }) => registry !== undefined);
    this.#survivor = this.#of(members);
    this.#others = members.filter((machine) => machine !== this.#survivor);
    const nodes = members.map(({ address }) => address);
    const options = { address: WRITER, nodes, name: "acknowledged", records: RECORDS };
    this.#writer = new LastWriter(cluster, options);
  }

  async run(): Promise<void> {
    const { world, load } = this.#cluster;
    const survivor = this.#survivor;
    for (const { machine } of load.clients) machine.kill();
    this.#writer.start((client, process) => this.#writer.work(client, process));
    await world.run(world.nowMs + WRITES_MS);
    // It may lag behind what the others acknowledge.
    if (this.#entropy.unit() < 0.6) this.#isolate();
    await world.run(world.nowMs + LAGS_MS * this.#entropy.unit());
    const before = survivor.registry!.ringMap().epoch;
    for (const machine of this.#others) machine.kill();
    if (this.#entropy.unit() < 0.5) survivor.kill();
    else survivor.cutPower();
    this.#writer.stop();
    this.#cluster.wire.healAll();
    survivor.remake(recoveredAlone(survivor, (recovered) => this.#recovered = recovered));
    survivor.start();
    await this.#until(SERVES_MS_MAX, () => this.#unserved());
    this.#checkEpoch(before);
    await this.#meetOldMembers();
    await this.#read();
    await this.#grow();
  }

  #isolate(): void {
    const { wire } = this.#cluster;
    for (const { address } of this.#others) {
      wire.cut(address, this.#survivor.address);
      wire.cut(this.#survivor.address, address);
    }
  }

  /** Returns why the survivor does not lead every group; undefined if it does. */
  #unserved(): string | undefined {
    const { groups, isServing } = this.#survivor;
    if (!isServing || groups === undefined) return "the survivor does not serve";
    for (const { group, raft } of groups.nodes.all) {
      if (raft.readPoint(0) === undefined) return `the survivor cannot read group ${group}`;
    }
    return undefined;
  }

  get #generation(): number {
    return this.#recovered!.generation;
  }

  #checkEpoch({ generation }: { readonly generation: number }): void {
    const now = this.#survivor.registry!.ringMap().epoch.generation;
    if (now === this.#generation && now > generation) return;
    throw new Finding(
      NAME,
      `The ring has generation ${now} after one of ${generation}: it must have ${this.#generation}`,
    );
  }

  // Those who were given up.

  /** Lets the others, and a client of theirs, do what they can: a majority of them may believe to serve. */
  async #meetOldMembers(): Promise<void> {
    const { world } = this.#cluster;
    for (const machine of this.#others) machine.start();
    const nodes = this.#others.map(({ address }) => address);
    // Otherwise it learns of the recovered cluster, and writes there.
    this.#cluster.wire.cut(MISLED, this.#survivor.address);
    const misled = new LastWriter(this.#cluster, {
      ...{ address: MISLED, nodes, name: "misled", records: RECORDS },
    });
    misled.start((client, process) => misled.work(client, process));
    for (const untilMs = world.nowMs + OLD_MEMBERS_MS; world.nowMs < untilMs;) {
      await world.run(world.nowMs + LOOK_MS);
      this.#checkAlone();
    }
    misled.stop();
    for (const machine of this.#others) machine.kill();
  }

  /** The survivor is the only member, and alone votes in its groups, in terms of its generation. */
  #checkAlone(): void {
    const { nodeId, groups } = this.#survivor;
    const { all: members = [] } = groups?.system.store.state.members ?? {};
    const other = members.find((member) => member.nodeId !== nodeId);
    if (other !== undefined) {
      throw new Finding(NAME, `Node ${other.nodeId} was given up, and is a member`);
    }
    for (const { group, raft } of this.#survivor.groups?.nodes.all ?? []) {
      const { configuration: { voters, learners }, replica } = raft;
      const { term } = raft.status();
      const isAlone = voters.length === 1 && voters[0] === replica && learners.length === 0;
      if (isAlone && generationOfTerm(term) === this.#generation && raft.isLeading) continue;
      throw new Finding(
        NAME,
        `Members that were given up have changed group ${group} of the survivor: replica ${replica} is ` +
          `${raft.status().role} in term ${term} among voters ${voters.join(", ")}`,
      );
    }
  }

  // What is there.

  async #read(): Promise<void> {
    const nodes = [this.#survivor.address];
    const reader = new LastWriter(this.#cluster, {
      ...{ address: READER, nodes, name: "later", records: RECORDS },
    });
    let isDone = false;
    reader.start(async (client) => {
      for (const [id, attempts] of this.#writer.attempts) {
        await this.#checkRecord(client, id, attempts);
      }
      for (const [id, attempts] of this.#writer.attempts) {
        await this.#checkIncarnation(client, reader, id, attempts);
      }
      await this.#checkToken(client);
      isDone = true;
    });
    await this.#until(
      SERVES_MS_MAX,
      () => isDone ? undefined : "reads of the survivor are under way",
    );
    reader.stop();
  }

  async #checkRecord(client: Client, id: string, attempts: readonly Attempt[]): Promise<void> {
    const value = await valueOf(client, id);
    const at = attempts.findIndex((attempt) => attempt.value === value);
    if (value !== undefined && at === -1) {
      throw new Finding(NAME, `Record ${id} is ${value}, which was not written before the loss`);
    }
    attempts.forEach(({ value: written, answer }, index) => {
      if (answer === undefined || index <= at) return;
      const { partition, revision } = answer;
      const group = groupOfPartition(partitionId(partition));
      const last = this.#recovered!.found.find((found) => found.group === group)?.last?.index ?? 0;
      const what = `The write of ${written} at ${revision.index} in partition ${partition}`;
      if (revision.index <= last) {
        throw new Finding(NAME, `${what} is gone, and the survivor had it up to ${last}`);
      }
      const { plan } = this.#recovered!;
      if (plan !== undefined && isSaidLost(plan, group)) return;
      throw new Finding(NAME, `${what} is gone, and was not said to be lost`);
    });
  }

  /** A record that is written anew is of a later incarnation, and the former one renews nothing. */
  async #checkIncarnation(
    client: Client,
    reader: LastWriter,
    id: string,
    attempts: readonly Attempt[],
  ): Promise<void> {
    const former = attempts.findLast(({ answer }) => answer !== undefined)?.answer?.incarnation;
    await client.deregisterAgent(id).catch((error) => {
      if (toRegistryError(error).code !== "not_found") throw error;
    });
    if (!await reader.write(client, id)) throw new Finding(NAME, `Record ${id} cannot be written`);
    const { incarnation } = reader.attempts.get(id)!.at(-1)!.answer!;
    if (incarnation.generation !== this.#generation) {
      throw new Finding(NAME, `Record ${id} has an incarnation of ${incarnation.generation}`);
    }
    if (former === undefined) return;
    const { renewed } = await client.renew([{ id, kind: "agent", incarnation: former }]);
    if (renewed === 0) return;
    throw new Finding(NAME, `The incarnation of before the loss renews record ${id}`);
  }

  /** A watch that is continued behind a token of before begins anew, or ends. */
  async #checkToken(client: Client): Promise<void> {
    const from = this.#writer.token;
    if (from === "") return;
    const giveUp = new AbortController();
    const { world } = this.#cluster;
    world.after(TOKEN_MS_MAX, () => giveUp.abort());
    try {
      for await (const { type } of client.watch({}, { from, signal: giveUp.signal })) {
        if (type === "reset") return;
        if (type === "progress") continue;
        throw new Finding(NAME, `A watch that continues a token of before the loss tells ${type}`);
      }
    } catch (error) {
      if (toRegistryError(error).code === "history_lost") return;
      throw error;
    }
    throw new Finding(NAME, "A token of before the loss is continued as if nothing were lost");
  }

  // What comes of it.

  /** One of the others joins with an empty folder. */
  async #grow(): Promise<void> {
    const joiner = this.#of(this.#others);
    joiner.lose(this.#survivor);
    joiner.start();
    const { partitionCount } = this.#cluster.plan;
    await this.#until(JOINS_MS_MAX, () => {
      for (let number = 0; number < partitionCount; number++) {
        const here = this.#survivor.groups?.partition(partitionId(number)) ??
          joiner.groups?.partition(partitionId(number));
        if (here === undefined) return `partition ${number} is nowhere`;
        const { voters } = here.group.configuration;
        if (voters.length !== 2) return `partition ${number} has voters ${voters.join(", ")}`;
      }
      return undefined;
    });
  }

  async #until(withinMs: number, unmet: () => string | undefined): Promise<void> {
    const { world } = this.#cluster;
    const untilMs = world.nowMs + withinMs;
    for (let reason = unmet(); reason !== undefined; reason = unmet()) {
      if (world.nowMs > untilMs) {
        throw new Finding(NAME, `${withinMs} ms after the recovery, ${reason}`);
      }
      await world.run(world.nowMs + LOOK_MS);
    }
  }

  #of<T>(items: readonly T[]): T {
    return items[Math.floor(this.#entropy.unit() * items.length)]!;
  }
}

function isSaidLost({ lost }: RecoveryPlan, group: number): boolean {
  return lost.some((found) => found.group === group);
}

async function valueOf(client: Client, id: string): Promise<string | undefined> {
  try {
    const { agent } = await client.getAgent(id);
    return agent.labels["v"];
  } catch (error) {
    if (error instanceof RegistryError && error.code === "not_found") return undefined;
    throw error;
  }
}
