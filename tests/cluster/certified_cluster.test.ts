/**
 * A cluster of three nodes with real identities, of which only the first has the authority's keys: the
 * others join with tokens, serve requests for identities by passing them on, and go on when the first is
 * killed.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crsInProcess } from "../support/crs_in_process.ts";
import { crs, type CrsProcess, startCrs, type StartedNode } from "../support/crs_process.ts";
import { until } from "../support/until.ts";

const folder = await Deno.makeTempDir();
const authority = `${folder}/pki/authority`;
const asAdministrator = ["--identity", `${folder}/pki/administrator`];
const asAgent = ["--identity", `${folder}/agent`];
const processes: CrsProcess[] = [];
const nodes: StartedNode[] = [];
const place = ["--region", "eu-1", "--partitions", "16"];

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
  const { code, stdout } = await crs([...args, "--json"]);
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

  const flags = ["--authority", authority, "--zone", "a", "--found", ...place];
  const { process, node } = await startCrs(`${folder}/1`, { flags });
  processes.push(process);
  nodes.push(node);
  await done("identity", "issue", ...asAdministrator, ...at(1));
});

test("nodes without an authority folder join with a token each", async () => {
  for (const nodeId of [2, 3]) {
    const token = await tokenFor("node");
    const flags = [...joining(token), "--zone", `z${nodeId}`, ...place];
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
  const issue = async (identity: string) => {
    const made = await done<{ token: string; subject: string }>(...ofToken, ...at(2));
    const of = ["--identity", identity, "--subject", made.subject, "--token", made.token];
    await done("identity", "issue", ...of, ...at(2));
    return made;
  };
  const made = await issue(`${folder}/agent`);
  const others = Array.from({ length: 8 }, (_, number) => `${folder}/agent${number}`);
  await Promise.all(others.map(issue));
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

test.after(async () => {
  for (const process of processes) process.kill("SIGKILL");
  await Promise.all(processes.map((process) => process.ended()));
  await Deno.remove(folder, { recursive: true });
});

test.run();
