/**
 * Two regions as real nodes with one governed plane: what is applied in one is served in the other, which
 * takes no proposals; and when the home is lost, a quorum makes the other one the home.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { freePorts } from "../../bench/cluster/ports.ts";
import { codeBlocks, commandOf, fillPlaceholders } from "../support/markdown_blocks.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { type CrsProcess, startCrs, type StartedNode } from "../support/crs_process.ts";
import { until } from "../support/until.ts";

const LINK_MS_MAX = 60_000;
const root = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const folder = await Deno.makeTempDir({ prefix: "crs-mirrored-plane-" });

/** A region of one node. */
interface Region {
  readonly name: string;
  readonly port: number;
  process: CrsProcess;
}

const regions: Region[] = [];
/** Where the registry of each region is served over HTTP. */
const urls = new Map<string, string>();
/** Values of the placeholders in docs/governance.md. */
const values = new Map<string, string>();

async function start(name: string, port: number): Promise<CrsProcess> {
  const flags = ["--region", name, "--port", String(port), "--partitions", "8"];
  const started = await startCrs(`${folder}/${name}`, {
    flags: [...flags, "--http", "127.0.0.1:0"],
  });
  const { http } = started.node as StartedNode & { readonly http: { readonly port: number } };
  urls.set(name, `http://127.0.0.1:${http.port}/v1/registry`);
  return started.process;
}

async function kill({ process }: Region): Promise<void> {
  process.kill("SIGKILL");
  await process.ended();
}

async function crs({ name }: Region, ...args: readonly string[]) {
  const { code, stdout, stderr } = await crsInProcess(args, {
    env: { CRS_DATA: `${folder}/${name}` },
  });
  return { code, stdout, stderr };
}

/** Returns the document that a command prints, which must succeed. */
async function document(region: Region, line: string, ...more: readonly string[]) {
  const { code, stdout, stderr } = await crs(region, ...line.split(" "), ...more, "--json");
  assert.is(code, 0, `${line} in ${region.name}: ${stdout}${stderr}`);
  return JSON.parse(stdout);
}

/** Tells a region of another one. */
async function introduce(to: Region, { name, port }: Region): Promise<void> {
  await until(`${to.name} knows ${name}`, async () => {
    const servers = ["--servers", `127.0.0.1:${port}`];
    const bundle = ["--bundle", `${folder}/${name}/identity/ca.pem`];
    return (await crs(to, "region", "add", name, ...servers, ...bundle)).code === 0;
  }, LINK_MS_MAX);
}

/** Signs a payload with keys, proposes and applies it. */
async function decide(region: Region, file: string, ...keys: readonly string[]): Promise<void> {
  const signed: string[] = [];
  for (const key of keys) {
    const out = `${file}-${key}.sig`;
    await document(
      region,
      `descriptor sign --file ${file} --key ${folder}/${key}.key --out ${out}`,
    );
    signed.push("--sig", out);
  }
  const { proposal_id: proposal } = await document(
    region,
    `descriptor propose --file ${file}`,
    ...signed,
  );
  await document(region, `descriptor apply --proposal ${proposal}`);
}

async function publish(region: Region, n: number): Promise<void> {
  const file = `${folder}/v${n}.json`;
  const example = `${root}examples/svc-storage.json`;
  const more = n === 1 ? [] : ["--supersede", "Other"];
  await document(region, `descriptor draft --file ${example} --out ${file}`, ...more);
  await decide(region, file, "a", "b");
}

async function status(region: Region) {
  return await document(region, "governance status");
}

async function untilVersion(region: Region, version: number): Promise<void> {
  await until(`${region.name} has version ${version}`, async () => {
    return (await status(region)).version === version;
  }, LINK_MS_MAX);
}

/** Runs a block of docs/governance.md whose lines say in which region they are run. */
async function runPage(number: number): Promise<void> {
  const page = await Deno.readTextFile(`${root}docs/governance.md`);
  const block = codeBlocks(page).filter(({ language }) => language === "bash")[number]!;
  for (const line of block.lines) {
    const region = regions.find(({ name }) => line.includes(`# in ${name}`)) ?? us;
    const command = fillPlaceholders(commandOf(line), values)
      .replaceAll(" keys/", ` ${folder}/`);
    const [program, ...args] = command.split(/ +/);
    assert.is(program, "crs", line);
    const { code, stdout, stderr } = await crs(region, ...args);
    assert.is(code, 0, `${line}\n${stdout}${stderr}`);
    const proposal = /^Proposed .*: proposal (\d+),/m.exec(stdout)?.[1];
    if (proposal !== undefined) values.set("proposal", proposal);
  }
}

let eu: Region;
let us: Region;
let genesis: string;

test.before(async () => {
  const port = freePorts(2);
  const names = ["eu-1", "us-1"];
  const processes = await Promise.all(names.map((name, at) => start(name, port + at)));
  for (const [at, process] of processes.entries()) {
    regions.push({ name: names[at]!, port: port + at, process });
  }
  [eu, us] = regions as [Region, Region];
  await Promise.all([introduce(eu, us), introduce(us, eu)]);
  const signers: string[] = [];
  for (const id of ["a", "b", "c"]) {
    const { stdout } = await crs(eu, "governance", "keygen", "--out", `${folder}/${id}.key`);
    signers.push("--signer", /^(\w=[\w+/=]+)$/m.exec(stdout)![1]!);
  }
  await until(
    "the plane is placed",
    async () => (await crs(eu, "governance", "status")).code === 0,
  );
  genesis = (await document(eu, "governance init --threshold 2", ...signers)).genesis_hash;
  values.set("genesis", genesis);
});

test.after(async () => {
  for (const region of regions) await kill(region);
  await Deno.remove(folder, { recursive: true });
});

test("a region mirrors the plane of another one, and its clients verify by the same genesis", async () => {
  await publish(eu, 1);
  const wrong = `sha256:${"0".repeat(64)}`;
  const refused = await crs(us, "governance", "mirror", "eu-1", "--genesis", wrong);
  assert.match(refused.stderr, /stale_version/);
  assert.is((await status(us)).genesis_hash, null);
  await runPage(0);
  await untilVersion(us, 1);
  await publish(eu, 2);
  const appliedMs = performance.now();
  await untilVersion(us, 2);
  assert.ok(performance.now() - appliedMs < 5_000, "in seconds");
  const found = await status(us);
  assert.equal([found.home, found.refusal, found.genesis_hash], ["eu-1", null, genesis]);
  assert.ok(found.contact_age_ms !== null && found.contact_age_ms < 10_000);
  const [there, here] = await Promise.all(
    [eu, us].map((region) => document(region, "descriptor log --id svc-storage@us-east-1")),
  );
  assert.equal(here, there);
  await until("us-1 serves it over HTTP", async () => {
    const reply = await fetch(`${urls.get("us-1")}/descriptors/svc-storage@us-east-1`);
    const text = await reply.text();
    return reply.status === 200 && JSON.parse(text).version === 2;
  });
});

test("a mirror refuses proposals and names the home", async () => {
  const file = `${folder}/late.json`;
  const example = `${root}examples/svc-storage.json`;
  await document(us, `descriptor draft --file ${example} --out ${file}`);
  const { code, stdout } = await crs(us, "descriptor", "propose", "--file", file, "--json");
  assert.is.not(code, 0);
  const { error } = JSON.parse(stdout);
  assert.equal([error.code, error.homeRegion], ["foreign_region", "eu-1"]);
});

test("what needs a checkpoint says which key is missing, until the signers list one of this region", async () => {
  const refused = await crs(us, "descriptor", "verify", "--genesis", genesis);
  assert.match(refused.stderr, /invalid_configuration/);
  values.set("us-1 key", (await status(us)).checkpoint_key);
  await runPage(1);
  await untilVersion(us, 3);
  await document(us, `descriptor verify --genesis ${genesis}`);
});

test("a lost home is replaced by a quorum, and follows once it is back", async () => {
  await kill(eu);
  await runPage(2);
  assert.is((await status(us)).home, null);
  await publish(us, 3);
  await document(us, `descriptor verify --genesis ${genesis} --id svc-storage@us-east-1`);
  eu.process = await start("eu-1", eu.port);
  await until("eu-1 serves", async () => (await crs(eu, "governance", "status")).code === 0);
  await runPage(3);
  await untilVersion(eu, 5);
  assert.is((await status(eu)).home, "us-1");
});

test.run();
