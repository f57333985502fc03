/**
 * A cluster of three nodes with real identities, of which only the first has the authority's keys: the
 * others join with tokens, serve requests for identities by passing them on, and go on when the first is
 * killed.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crsInProcess } from "../support/crs_in_process.ts";
import { crs, type CrsProcess, startCrs, type StartedNode } from "../support/crs_process.ts";
import { clockOff, FAKETIME } from "../support/faketime.ts";
import { testWith } from "../support/requirement.ts";
import { freeClusterPorts } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

/** Failed attempts to dial a node that show that it is kept out for good. */
const DIALS_FAILED = 5;

const folder = await Deno.makeTempDir();
const authority = `${folder}/pki/authority`;
const asAdministrator = ["--identity", `${folder}/pki/administrator`];
const asAgent = ["--identity", `${folder}/agent`];
const processes: CrsProcess[] = [];
const nodes: StartedNode[] = [];
const place = ["--region", "eu-1", "--partitions", "16"];
const firstPort = freeClusterPorts();

/** The ports of a node, the same at every start, so that the others find it again. */
function ports(nodeId: number): string[] {
  return ["--port", String(firstPort + nodeId), "--peer-port", String(firstPort + 10 + nodeId)];
}

/** A part of what `crs cluster status` prints. */
interface ClusterStatus {
  readonly group0: { readonly voters: readonly number[] };
  readonly partitions: { readonly moving: number };
  readonly nodes: readonly { readonly replicas: number | null }[];
}

/** The flags that name the node with that number as the server. */
function at(nodeId: number, timeout = "20s"): string[] {
  const { host, port } = nodes[nodeId - 1]!.addresses[0]!;
  return ["--server", `${host}:${port}`, "--pin", pinOf(nodeId), "--timeout", timeout];
}

function pinOf(nodeId: number): string {
  return JSON.parse(Deno.readTextFileSync(`${folder}/${nodeId}/node.json`)).currentPin;
}

async function done<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await crsInProcess([...args, "--json"]);
  assert.is(code, 0, `crs ${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** The error of a command that must fail. */
async function refused(
  ...args: string[]
): Promise<{ code: string; field?: string; message: string }> {
  const { code, stdout } = await crsInProcess([...args, "--json"]);
  assert.is.not(code, 0, args.join(" "));
  return JSON.parse(stdout).error;
}

async function tokenFor(role: string): Promise<string> {
  const { token } = await done<{ token: string }>(
    "identity",
    "join-token",
    role,
    ...asAdministrator,
    ...at(1),
  );
  return token;
}

function joining(token: string): string[] {
  const { host, port } = nodes[0]!.addresses[0]!;
  return ["--join", `${host}:${port}`, "--pin", pinOf(1), "--token", token];
}

let refusals = 0;

/** The error of a node that asks to join and must not. */
async function refusedJoin(...flags: string[]) {
  const ports = ["--port", "0", "--ops-port", "0", "--peer-port", "0"];
  return await refused("start", "--data", `${folder}/wrong${++refusals}`, ...ports, ...flags);
}

test("an empty folder with an authority founds a cluster only if it is told to", async () => {
  const init = ["--trust-domain", "registry.example", "--region", "eu-1"];
  await done("identity", "init", ...init, "--out", `${folder}/pki`);
  const start = ["start", "--data", `${folder}/1`, "--authority", authority, "--port", "0"];
  const { code, field, message } = await refused(...start, ...place);
  assert.equal([code, field], ["invalid_configuration", "found"]);
  assert.match(message, "--found to create a cluster");
  assert.match(message, "--join");

  const flags = ["--authority", authority, "--zone", "a", "--found", ...place, ...ports(1)];
  const { process, node } = await startCrs(`${folder}/1`, { flags });
  processes.push(process);
  nodes.push(node);
  await done("identity", "issue", ...asAdministrator, ...at(1));
});

test("nodes without an authority folder join with a token each", async () => {
  for (const nodeId of [2, 3]) {
    const token = await tokenFor("node");
    const flags = [...joining(token), "--zone", `z${nodeId}`, ...place, ...ports(nodeId)];
    const { process, node } = await startCrs(`${folder}/${nodeId}`, { flags });
    processes.push(process);
    nodes.push(node);
    assert.equal([node.nodeId, node.clusterId], [nodeId, nodes[0]!.clusterId]);
    if (nodeId === 3) continue;
    const { code, message } = await refusedJoin(...joining(token), "--zone", "x", ...place);
    assert.is(code, "unauthenticated");
    assert.match(message, "the join token was already used");
  }
});

test("a node that does not fit is refused, and its token stays good", async () => {
  const join = joining(await tokenFor("node"));
  const elsewhere = ["--zone", "x", "--region", "us-1", "--partitions", "16"];
  const [ofAgent, region, partitions, zone, taken] = await Promise.all([
    refusedJoin(...joining(await tokenFor("agent")), "--zone", "x", ...place),
    refusedJoin(...join, ...elsewhere),
    refusedJoin(...join, "--zone", "x", "--region", "eu-1"),
    refusedJoin(...join, ...place),
    refusedJoin(...join, "--zone", "x", "--node-id", "2", ...place),
  ]);
  assert.equal([ofAgent.code, ofAgent.field], ["unauthenticated", "wrong_role"]);
  assert.match(ofAgent.message, "crs identity join-token node");
  assert.equal([region.code, region.field], ["invalid_configuration", "region"]);
  assert.equal([partitions.code, partitions.field], ["invalid_configuration", "partitions"]);
  assert.equal([zone.code, zone.field], ["invalid_configuration", "zone"]);
  assert.is(taken.code, "locked");
});

test("a node without the keys passes on what needs them", async () => {
  const ofToken = ["identity", "join-token", "agent", ...asAdministrator];
  const made = await done<{ token: string; subject: string }>(...ofToken, ...at(2));
  const issue = ["identity", "issue", ...asAgent, "--subject", made.subject];
  await done(...issue, "--token", made.token, ...at(2));
  const id = made.subject.slice(made.subject.lastIndexOf("/") + 1);
  const fields = ["--region", "eu-1", "--address", "192.0.2.1"];
  await done("agent", "register", "--id", id, ...fields, "--ttl", "10m", ...asAgent, ...at(2));

  await until("the trust bundle names all nodes", async () => {
    const { code, stdout } = await crsInProcess(["identity", "bundle", ...asAgent, ...at(3)]);
    return code === 0 && JSON.parse(stdout).bundle.servers.length === 3;
  }, 20_000);
  // Before the first node is lost, every partition must have its replicas on all three.
  await until("the replicas have moved", async () => {
    const status = ["cluster", "status", "--json", ...asAdministrator, ...at(1)];
    const { code, stdout } = await crsInProcess(status);
    if (code !== 0) return false;
    const found = JSON.parse(stdout) as ClusterStatus;
    return found.group0.voters.length === 3 && found.partitions.moving === 0 &&
      found.nodes.every(({ replicas }) => replicas === 16);
  }, 30_000);

  processes[0]!.kill("SIGKILL");
  const read = ["agent", "get", id, ...asAgent, ...at(2)];
  await done(...read);
  await done("agent", "register", "--id", id, ...fields, "--ttl", "11m", ...asAgent, ...at(3));

  // Once the others know that the first is gone, they tell what is missing.
  await until("a renewal is refused with the reason", async () => {
    const renew = ["identity", "renew", ...asAgent, ...at(2, "2s"), "--json"];
    const { code, stdout } = await crsInProcess(renew);
    assert.is(code, 4, stdout);
    return JSON.parse(stdout).error.message.includes("No node that has the authority's keys");
  }, 20_000);
});

/** Starts a node again, from its folder. */
async function restart(nodeId: number, env: Readonly<Record<string, string>>): Promise<void> {
  const keys = nodeId === 1 ? ["--authority", authority] : [];
  const zone = nodeId === 1 ? "a" : `z${nodeId}`;
  const flags = [...keys, "--zone", zone, ...place, ...ports(nodeId)];
  const { process, node } = await startCrs(`${folder}/${nodeId}`, { flags, env });
  processes.push(process);
  nodes[nodeId - 1] = node;
}

/** Waits until every node serves all its partitions and is connected to both others. */
async function untilWhole(): Promise<void> {
  await until("all nodes are ready", async () => {
    const ready = await Promise.all(nodes.map(async ({ ops: { host, port } }) => {
      const { status, body } = await fetch(`http://${host}:${port}/readyz`);
      await body?.cancel();
      return status === 200;
    }));
    return ready.every((one) => one);
  }, 30_000);
  for (const nodeId of [1, 2, 3]) {
    await until(`node ${nodeId} is connected`, async () => await linksOf(nodeId) === 2, 15_000);
  }
}

/** Returns the lines of a node's metrics. */
async function metricsOf(nodeId: number): Promise<string[]> {
  const { host, port } = nodes[nodeId - 1]!.ops;
  return (await (await fetch(`http://${host}:${port}/metrics`)).text()).split("\n");
}

/** Count of the other nodes that a node has a session with. */
async function linksOf(nodeId: number): Promise<number> {
  const lines = await metricsOf(nodeId);
  return lines.filter((line) => /^crs_peer_connected\{.*\} 1$/.test(line)).length;
}

/** Count of a node's failed attempts to dial another one. */
async function failedDials(nodeId: number, peer: number): Promise<number> {
  const name = `crs_peer_dials_failed_total{peer="${peer}"} `;
  const line = (await metricsOf(nodeId)).find((line) => line.startsWith(name));
  return Number(line?.slice(name.length));
}

/** The environment of the nodes since their last restart: their clock may be ahead. */
let env: Readonly<Record<string, string>> = {};

testWith(FAKETIME)(
  "an outage that outlived all certificates is over once all nodes are started",
  async () => {
    for (const process of processes) process.kill("SIGKILL");
    await Promise.all(processes.map((process) => process.ended()));
    // A certificate of a node lasts an hour, so none can prove itself, and nobody could vote.
    env = await clockOff("+3h");
    await Promise.all([1, 2, 3].map((nodeId) => restart(nodeId, env)));
    await untilWhole();
  },
);

test("a ban of a node's identity ends its sessions on all nodes at once, and keeps it out", async () => {
  if (Object.keys(env).length === 0) {
    await restart(1, env);
    await untilWhole();
  }
  const { subject } = JSON.parse(
    await Deno.readTextFile(`${folder}/3/identity/node/identity.json`),
  ) as { subject: string };
  for (const words of [["issue"], ["ban", "subject", subject, "--reason", "stolen"]]) {
    const administer = ["identity", ...words, ...asAdministrator, ...at(1)];
    const { code, stderr } = await crs(administer, { env });
    assert.is(code, 0, stderr);
  }
  for (const [nodeId, left] of [[1, 1], [2, 1], [3, 0]] as const) {
    await until(`node ${nodeId} has ${left} links`, async () => await linksOf(nodeId) === left);
  }
  // Node 1 dials node 3, which dials nobody: it must refuse to, and be refused, for good.
  const before = await failedDials(1, 3);
  await until(
    "node 1 has dialed node 3 again and again",
    async () => await failedDials(1, 3) >= before + DIALS_FAILED,
    15_000,
  );
  assert.equal([await linksOf(1), await linksOf(2), await linksOf(3)], [1, 1, 0]);
});

test.after(async () => {
  for (const process of processes) process.kill("SIGKILL");
  await Promise.all(processes.map((process) => process.ended()));
  await Deno.remove(folder, { recursive: true });
});

test.run();
