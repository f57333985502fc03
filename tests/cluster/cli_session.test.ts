/**
 * A new user's session with real nodes: start, register, lose the node to kill -9, start again,
 * resolve. Also the parts that scripts rely on: documents, exit codes, a clean end. readme.test.ts
 * runs the plain commands as processes; here they run within the test, unless the process itself is
 * tested.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crsInProcess } from "../support/crs_in_process.ts";
import { crs, CrsProcess, startCrs } from "../support/crs_process.ts";
import { until } from "../support/until.ts";

const FAILING_SYNC = new URL("../support/failing_sync.ts", import.meta.url).href;
/** Every node of these tests: with few partitions it starts in half of the time. */
const FEW = { flags: ["--partitions", "8"] };
const EXAMPLE = new URL("../../examples/gateway.json", import.meta.url).pathname;

interface Registered {
  readonly id: string;
  readonly incarnation: { readonly generation: number; readonly index: number };
  readonly remainingMs: number;
  readonly created: boolean;
}

/** Runs `use` with an empty folder; then ends every process that it added to `processes`. */
async function inFolder(
  use: (folder: string, processes: CrsProcess[]) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const processes: CrsProcess[] = [];
  try {
    await use(folder, processes);
  } finally {
    for (const process of processes) process.kill("SIGKILL");
    await Promise.all(processes.map((process) => process.ended()));
    await Deno.remove(folder, { recursive: true });
  }
}

/** Returns the document of a command that must succeed. */
async function document<T>(folder: string, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await crsInProcess([...args, "--data", folder, "--json"]);
  assert.is(code, 0, `crs ${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** Asserts that `crs wal dump` prints the records of each file of a log. */
async function assertDumpsEachFile(log: string): Promise<void> {
  let files = 0;
  for await (const { name } of Deno.readDir(log)) {
    if (!name.endsWith(".wal")) continue;
    files++;
    const { code, stdout } = await crsInProcess(["wal", "dump", `${log}/${name}`, "--json"]);
    assert.is(code, 0);
    const { records } = JSON.parse(stdout) as { records: { op: string; crcOk: boolean }[] };
    assert.is(records[0]?.op, "segmentHeader");
    assert.ok(records.every(({ crcOk }) => crcOk));
    const text = await crsInProcess(["wal", "dump", `${log}/${name}`]);
    assert.is(text.stdout.trim().split("\n").length, records.length);
  }
  assert.ok(files > 0);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

test("crs loses nothing to kill -9 between register and resolve", () =>
  inFolder(async (folder, processes) => {
    // As Kubernetes sets them for a service named crs; the second start is without them.
    const env = { CRS_PORT: "tcp://10.0.0.1:4443", CRS_SERVICE_HOST: "10.0.0.1" };
    const first = await startCrs(folder, { ...FEW, env });
    processes.push(first.process);
    assert.is(first.node.created, true);
    assert.is(first.process.stderr.match(/CRS_PORT CRS_SERVICE_HOST/g)?.length, 1);
    const gateway = await document<Registered>(folder, "gateway", "register", "--file", EXAMPLE);
    assert.is(gateway.created, true);
    assert.ok(gateway.remainingMs >= 29_000, "The lease of 30 s");
    const agent = await document<Registered>(
      folder,
      ...["agent", "register", "--domain", "a1.example", "--gateway", gateway.id, "--ttl", "30"],
    );

    first.process.kill("SIGKILL");
    await first.process.ended();
    const second = await startCrs(folder, FEW);
    processes.push(second.process);
    assert.equal([second.node.created, second.node.clusterId], [false, first.node.clusterId]);
    assert.not.match(second.process.stderr, /Kubernetes/);

    const resolved = await document<{
      agent: { id: string; incarnation: unknown };
      gateway: { id: string; address: string; port: number; incarnation: unknown };
      agentRemainingMs: number;
      receipts: { node: number; ageBoundMs: number }[];
    }>(folder, "agent", "resolve", "a1.example");
    assert.equal([resolved.agent.id, resolved.agent.incarnation], [agent.id, agent.incarnation]);
    assert.equal(
      [resolved.gateway.id, resolved.gateway.incarnation],
      [gateway.id, gateway.incarnation],
    );
    assert.equal([resolved.gateway.address, resolved.gateway.port], ["12.34.56.78", 4_000]);
    assert.ok(resolved.receipts.length > 0);
    assert.ok(resolved.agentRemainingMs > 0);

    const { gateways } = await document<{ gateways: { gateway: { id: string } }[] }>(
      folder,
      ...["gateway", "list", "--region", "global"],
    );
    assert.equal(gateways.map((listed) => listed.gateway.id), [gateway.id]);
    const status = await document<{ gateways: number; agents: number }>(folder, "status");
    assert.equal([status.gateways, status.agents], [1, 1]);

    second.process.kill("SIGTERM");
    assert.is((await second.process.ended()).code, 0, "SIGTERM drains and closes");
    assert.is(await exists(`${folder}/node.json`), false);
    const verified = await crsInProcess(["wal", "verify", folder, "--json"]);
    assert.is(verified.code, 0, verified.stderr);
    assert.is(JSON.parse(verified.stdout).ok, true);
    await assertDumpsEachFile(`${folder}/log`);
  }));

test("crs start serves reads on after a failed sync, says so, and a restart has all that was acknowledged", () =>
  inFolder(async (folder, processes) => {
    const trigger = `${folder}/fail`;
    const broken = await startCrs(folder, {
      ...FEW,
      preload: FAILING_SYNC,
      env: { FAILING_SYNC: trigger },
    });
    processes.push(broken.process);
    const register = ["agent", "register", "--data", folder, "--ttl", "5m", "--json", "--domain"];
    assert.is((await crsInProcess([...register, "a1.example"])).code, 0);
    await Deno.writeTextFile(trigger, "");
    const refused = (domain: string) => crsInProcess([...register, domain, "--timeout", "500ms"]);
    assert.is((await refused("a2.example")).code, 4);

    await document(folder, "agent", "resolve", "a1.example");
    const { host, port } = broken.node.ops;
    const ready = await fetch(`http://${host}:${port}/readyz`);
    assert.is(ready.status, 503);
    const { reasons } = await ready.json() as { reasons: { reason: string }[] };
    assert.equal(reasons.map(({ reason }) => reason), ["storage_poisoned"]);

    await Deno.remove(trigger);
    assert.is((await refused("a3.example")).code, 4, "For good");
    broken.process.kill("SIGTERM");
    assert.is((await broken.process.ended()).code, 0);
    processes.push((await startCrs(folder, FEW)).process);
    await document(folder, "agent", "resolve", "a1.example");
  }));

test("crs tells a mistake, an absence and an unreachable node apart by exit code", () =>
  inFolder(async (folder, processes) => {
    const nobody = await crs(["status", "--data", folder, "--json"]);
    assert.is(nobody.code, 4);
    assert.match(
      nobody.stderr,
      / task start/,
      "As a person here would type it, through npx or not",
    );

    const { process } = await startCrs(folder, FEW);
    processes.push(process);
    const absent = await crs(["agent", "resolve", "a9.example", "--data", folder, "--json"]);
    assert.is(absent.code, 3);
    assert.is(JSON.parse(absent.stdout).error.code, "not_found");
    const bad = await crs(["gateway", "register", "--file", "-", "--data", folder, "--json"], {
      input: `{"gateway_domain": "g.example", "gateway_port": 70000}`,
    });
    assert.is(bad.code, 2, bad.stderr);
    assert.equal(
      [JSON.parse(bad.stdout).error.code, JSON.parse(bad.stdout).error.field],
      ["invalid_argument", "port"],
    );

    const locked = await crs(["start", "--data", folder, "--port", "0", "--ops-port", "0"]);
    assert.is(locked.code, 2);
    assert.ok(locked.stderr.includes("error: locked"), locked.stderr);
    const foreign = await crsInProcess(["start", "--data", folder, "--host", "0.0.0.0"]);
    assert.is(foreign.code, 2);
    assert.ok(foreign.stderr.includes("loopback"), foreign.stderr);

    process.kill("SIGKILL");
    await process.ended();
    const gone = await crsInProcess(["status", "--data", folder, "--json"]);
    assert.is(gone.code, 4);
    assert.ok(gone.stderr.includes("has ended"), gone.stderr);
  }));

test("crs gateway register again takes over; keep renews until ^C, and ends when another takes over", () =>
  inFolder(async (folder, processes) => {
    processes.push((await startCrs(folder, FEW)).process);
    const register = ["gateway", "register", "--file", EXAMPLE];
    const holder = await document<Registered>(folder, ...register);
    const successor = await document<Registered>(folder, ...register);
    assert.is(successor.id, holder.id);
    assert.ok(successor.incarnation.index > holder.incarnation.index);
    const refused = await crsInProcess([
      ...register,
      ...["--data", folder, "--no-take-over", "--json"],
    ]);
    assert.is(refused.code, 2);
    assert.is(JSON.parse(refused.stdout).error.code, "incarnation_mismatch");

    const args = ["gateway", "keep", "--file", EXAMPLE, "--ttl", "5", "--data", folder, "--json"];
    const events = (stdout: string) =>
      stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));
    const keep = () => {
      const process = new CrsProcess(args);
      processes.push(process);
      return process;
    };
    const named = (name: string) => (stdout: string) =>
      events(stdout).find(({ event }) => event === name);

    const first = keep();
    const { id } = await first.printed("a registration", named("registered"));
    await first.printed("a renewal", named("renewed"));
    const second = keep();
    await second.printed("a registration", named("registered"));
    const lost = await first.ended();
    assert.is(lost.code, 2);
    assert.ok(lost.stderr.includes("superseded"), lost.stderr);

    second.kill("SIGINT");
    const ended = await second.ended();
    assert.is(ended.code, 0, ended.stderr);
    assert.is(events(ended.stdout).at(-1).event, "deregistered");
    assert.is((await crsInProcess(["gateway", "get", id, "--data", folder])).code, 3);
  }));

test("crs demo runs a node and a fleet, and leaves nothing behind", () =>
  inFolder(async (folder) => {
    const sizes = ["--seconds", "2", "--gateways", "3", "--agents", "60", "--proxies", "4"];
    const { code, stdout, stderr } = await crs(["demo", ...sizes, "--json"], {
      env: { TMPDIR: folder },
    });
    assert.is(code, 0, stderr);
    const result = JSON.parse(stdout) as {
      operations: { operation: string; count: number; latencyMs: { p50: number } | null }[];
      failures: Record<string, number>;
      node: { gateways: number; agents: number };
    };
    assert.equal(result.failures, {});
    const countOf = (name: string) =>
      result.operations.find(({ operation }) => operation === name)?.count ?? 0;
    assert.is(countOf("register gateway"), 3);
    assert.is(countOf("connect"), 7);
    assert.ok(countOf("resolve") > 0 && countOf("renew") > 0, stdout);
    assert.is(result.node.gateways, 3);
    assert.ok(
      result.operations.find(({ operation }) => operation === "resolve")!.latencyMs!.p50 > 0,
    );
    assert.equal([...Deno.readDirSync(folder)], []);
  }));

test("crs demo takes its node with it when it is killed", () =>
  inFolder(async (folder, processes) => {
    const demo = new CrsProcess(["demo", "--agents", "10"], { env: { TMPDIR: folder } });
    processes.push(demo);
    let nodeFile = "";
    await until("the node's file", () => {
      const [made] = [...Deno.readDirSync(folder)];
      nodeFile = `${folder}/${made?.name}/node.json`;
      return exists(nodeFile);
    }, 30_000);
    demo.kill("SIGKILL");
    await demo.ended();
    // A node that stops orderly removes its file.
    await until("the node's end", async () => !(await exists(nodeFile)), 30_000);
  }));

test.run();
