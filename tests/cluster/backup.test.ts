/**
 * A backup of three real nodes under load, restored after all of them are gone, and compared record by
 * record with what clients know: everything acknowledged before the backup began is there, and what was
 * acknowledged meanwhile is there or not, whole in any case. Clients of before notice the new cluster.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parsePin } from "../../identity/pki/certificate.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { toRegistryError } from "../../src/base/errors.ts";
import type { Position } from "../../src/base/position.ts";
import { formatUuid } from "../../src/base/uuid.ts";
import { type Client, connect } from "../../src/client/mod.ts";
import { nodeFolderOf } from "../../src/cli/local_nodes.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { CrsProcess, startCrs } from "../support/crs_process.ts";
import { idOf } from "../support/store.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

const AGENTS = 200;
const WRITERS = 6;
/** Agents of some 350 bytes each, so that their image is read in several parts. */
const LARGE_AGENTS = 6_000;
const TTL_MS = 600_000;

const id = (number: number) => formatUuid(idOf(number));
const domain = (number: number) => `a${number}.example`;

interface Place {
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly pin: string;
}

async function withClient(
  nodes: readonly Place[],
  use: (client: Client) => Promise<void>,
): Promise<void> {
  const world = processWorld();
  const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
  const client = await connect({
    endpoints: nodes.flatMap(({ addresses }) => addresses),
    dialer,
    trust: { kind: "pins", sha256: nodes.map(({ pin }) => parsePin(pin)) },
    world,
    options: { timeoutMs: 10_000 },
  });
  try {
    await use(client);
  } finally {
    await client.close();
    await dialer.close();
  }
}

/** Agents whose records change in rounds, with what was sent and what was acknowledged of each. */
class WrittenAgents {
  readonly sent = new Map<number, number>();
  readonly acknowledged = new Map<number, number>();
  readonly client: Client;
  #isOver = false;

  constructor(client: Client) {
    this.client = client;
  }

  async write(number: number): Promise<void> {
    const round = (this.sent.get(number) ?? 0) + 1;
    this.sent.set(number, round);
    const agent = { id: id(number), region: "global", domain: domain(number), ttlMs: TTL_MS };
    await this.client.registerAgent({ ...agent, labels: { round: String(round) } });
    this.acknowledged.set(number, round);
  }

  /** Changes and adds records until {@link end}. */
  async run(): Promise<void> {
    let next = 0;
    await Promise.all(Array.from({ length: WRITERS }, async () => {
      while (!this.#isOver) {
        // Every third is a new agent.
        const turn = next++;
        await this.write(turn % 3 === 0 ? AGENTS + turn : turn % AGENTS);
      }
    }));
  }

  end(): void {
    this.#isOver = true;
  }
}

async function crsJson<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await crsInProcess([...args, "--json"]);
  assert.is(code, 0, stdout + stderr);
  return JSON.parse(stdout) as T;
}

/** Compares each restored record with what was written. @returns how many of the later ones are there. */
async function compare(
  client: Client,
  { sent }: WrittenAgents,
  before: ReadonlyMap<number, number>,
): Promise<number> {
  const found = new Map<string, number>();
  for await (const { agent, remainingMs } of client.allAgents("global")) {
    const round = Number(agent.labels["round"]);
    found.set(agent.id, round);
    assert.ok(remainingMs >= TTL_MS - 30_000, `${agent.domain} has ${remainingMs} ms left`);
  }
  let later = 0;
  for (const [number, last] of sent) {
    const round = found.get(id(number));
    found.delete(id(number));
    const first = before.get(number);
    if (first === undefined && round === undefined) continue;
    if (first === undefined) later++;
    const isKnown = round !== undefined && round >= (first ?? 1) && round <= last;
    assert.ok(isKnown, `agent ${number} has round ${round}: ${first} to ${last} were written`);
    const { agent } = await client.resolveAgent(domain(number));
    assert.is(agent?.id, id(number), domain(number));
  }
  assert.is(found.size, 0, "Nothing else was restored");
  return later;
}

/** Continues a watch behind a token. @returns the code by which it ends. */
async function continued(client: Client, from: string): Promise<string> {
  const watch = client.watch({ kind: "agent" }, { from, timeoutMs: 10_000 });
  try {
    for await (const event of watch) return event.type;
    return "ended";
  } catch (error) {
    return toRegistryError(error).code;
  } finally {
    watch.close();
  }
}

async function tokenOf(client: Client): Promise<string> {
  const watch = client.watch({ kind: "agent" });
  await watch.begun;
  await client.registerAgent({ id: id(9_999), region: "global", ttlMs: TTL_MS });
  for await (const { type, token } of watch) {
    if (type !== "put") continue;
    watch.close();
    return token;
  }
  throw new Error("The watch ended");
}

async function placeOf(process: { node: { addresses: Place["addresses"] } }, folder: string) {
  const { currentPin } = JSON.parse(await Deno.readTextFile(`${folder}/node.json`));
  return { addresses: process.node.addresses, pin: currentPin as string };
}

interface Before {
  readonly token: string;
  readonly late: { readonly id: string; readonly incarnation: Position };
  readonly written: WrittenAgents;
  readonly acknowledged: ReadonlyMap<number, number>;
}

/** Takes a backup under load. */
async function backUpUnderLoad(client: Client, data: string, backup: string): Promise<Before> {
  const written = new WrittenAgents(client);
  for (let at = 0; at < AGENTS; at += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, index) => written.write(at + index)));
  }
  const token = await tokenOf(client);
  await client.deregisterAgent(id(9_999));
  const load = written.run();
  await until("writes of the load", () => written.sent.size > AGENTS + 20);
  const acknowledged = new Map(written.acknowledged);
  const taken = await crsJson<{ fromFollowers: number; fromLeaders: number; records: number }>(
    ...["backup", backup, "--data", data],
  );
  assert.ok(taken.fromFollowers > 0 && taken.fromLeaders > 0, JSON.stringify(taken));
  const { incarnation } = await client.registerAgent({
    ...{ id: id(8_888), region: "global", ttlMs: TTL_MS },
  });
  written.end();
  await load;
  return { token, late: { id: id(8_888), incarnation }, written, acknowledged };
}

test("a backup under load is restored: all of before is there, and clients of before notice", async () => {
  const restored = await Deno.makeTempDir();
  const started: CrsProcess[] = [];
  try {
    await ThreeNodes.run(async (cluster) => {
      const { nodes } = await cluster.start();
      await cluster.spread();
      const backup = `${restored}/backup`;
      let before: Before | undefined;
      await withClient(nodes, async (client) => {
        before = await backUpUnderLoad(client, cluster.folder, backup);
      });
      const verified = await crsJson<{ ok: boolean }>("backup", backup, "--verify");
      assert.ok(verified.ok);
      for (const node of [1, 2, 3]) await cluster.kill(node);
      for (const node of [1, 2, 3]) {
        await Deno.remove(nodeFolderOf(cluster.folder, node), { recursive: true });
      }

      const data = `${restored}/1`;
      const found = await crsJson<{ generation: number; nodeId: number }>(
        ...["restore", backup, "--found", "--data", data],
      );
      assert.equal([found.generation, found.nodeId], [8, 4]);
      const common = [
        "--node-ca",
        `${restored}/node-ca`,
        "--partitions",
        "16",
        "--log-level",
        "error",
      ];
      const first = await startCrs(data, { flags: common });
      started.push(first.process);
      const place = await placeOf(first, data);
      await withClient([place], async (client) => {
        const later = await compare(client, before!.written, before!.acknowledged);
        assert.ok(later >= 0);
        await notices(client, before!);
      });
      await grows(place, data, restored, common, started);
    });
  } finally {
    for (const process of started) process.kill("SIGTERM");
    for (const process of started) await process.ended();
    await Deno.remove(restored, { recursive: true });
  }
});

test("a backup that is killed is recognized as unfinished, and taken again", async () => {
  const folder = await Deno.makeTempDir();
  const { process, node } = await startCrs(`${folder}/1`, { flags: ["--partitions", "1"] });
  try {
    await withClient([await placeOf({ node }, `${folder}/1`)], async (client) => {
      const items = Array.from({ length: LARGE_AGENTS }, (_, number) => ({
        kind: "agent" as const,
        agent: { id: id(number), region: "global", ttlMs: TTL_MS, labels: { of: "x".repeat(200) } },
      }));
      for (const { error } of await client.registerMany(items)) assert.is(error, undefined);
    });
    const backup = `${folder}/backup`;
    const args = ["backup", backup, "--data", `${folder}/1`];
    // At this rate it takes more than a second.
    const killed = new CrsProcess([...args, "--rate", "1"]);
    const image = `${backup}.unfinished/partition-0000.image`;
    await until(
      "a part of an image",
      () => Deno.stat(image).then(({ size }) => size > 0, () => false),
    );
    killed.kill("SIGKILL");
    await killed.ended();
    for (
      const use of [[...args, "--verify"], ["restore", backup, "--found", "--data", `${folder}/2`]]
    ) {
      const { code, stdout } = await crsInProcess([...use, "--json"]);
      assert.equal([code, JSON.parse(stdout).error.code], [1, "corrupt"]);
    }
    const { records } = await crsJson<{ records: number }>(...args);
    assert.is(records, LARGE_AGENTS);
    assert.ok((await crsJson<{ ok: boolean }>(...args, "--verify")).ok);
    const restored = await crsJson<{ records: number }>(
      ...["restore", backup, "--found", "--data", `${folder}/2`],
    );
    assert.is(restored.records, LARGE_AGENTS);
  } finally {
    process.kill("SIGTERM");
    await process.ended();
    await Deno.remove(folder, { recursive: true });
  }
});

/** Checks that what clients know of the former cluster is recognized as of before. */
async function notices(client: Client, { token, late }: Before): Promise<void> {
  assert.is(await continued(client, token), "history_lost");
  // Registered after the backup: its owner is told, and registers again under the new generation.
  const renew = async () =>
    (await client.renew([{ kind: "agent", ...late }])).failures.map(({ error }) => error.code);
  assert.equal(await renew(), ["not_found"]);
  const again = await client.registerAgent({ id: late.id, region: "global", ttlMs: TTL_MS });
  assert.is(again.incarnation.generation, 8);
  assert.equal(await renew(), ["superseded"]);
  assert.is((await client.ringMap()).epoch.generation, 8);
}

/** Checks that other nodes join the restored cluster with empty folders. */
async function grows(
  { addresses, pin }: Place,
  data: string,
  folder: string,
  common: readonly string[],
  started: CrsProcess[],
): Promise<void> {
  const [address] = addresses;
  const join = ["--join", `${address!.host}:${address!.port}`, "--pin", pin];
  for (const node of [2, 3]) {
    const { process, node: { error } } = await startCrs(`${folder}/${node}`, {
      flags: [...common, ...join],
    });
    started.push(process);
    assert.is(error, undefined, JSON.stringify(error));
  }
  let last = "";
  try {
    await until("three replicas of each partition", async () => {
      const { stdout } = await crsInProcess(["cluster", "status", "--data", data, "--json"]);
      last = stdout;
      const { nodes, partitions } = JSON.parse(stdout) as {
        readonly nodes: readonly { readonly nodeId: number; readonly replicas: number }[];
        readonly partitions: { readonly underReplicated: number; readonly moving: number };
      };
      return nodes.map(({ nodeId }) => nodeId).join() === "4,5,6" &&
        partitions.underReplicated + partitions.moving === 0 &&
        nodes.every(({ replicas }) => replicas === 16);
    }, 30_000);
  } catch (error) {
    throw new Error(`${toRegistryError(error).message}: ${last}`);
  }
}

test.run();
