/**
 * Two regions with an authority each, as real nodes: they believe each other's nodes by the trust bundles
 * that operators exchanged, and nothing else: not a region that did not add them, not the clients of the
 * other one, and not a node that another authority calls one of that region.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crsInProcess } from "../support/crs_in_process.ts";
import { type CrsProcess, startCrs } from "../support/crs_process.ts";
import { until } from "../support/until.ts";

const LINK_MS_MAX = 60_000;
const GATEWAY = ["--domain", "g.example", "--address", "192.0.2.9", "--port", "4000"];

/** A node of a region, with the keys of its authority. */
interface Region {
  readonly name: string;
  readonly folder: string;
  readonly server: string;
}

/** The fields of a region in `crs region status` that the tests read. */
interface Followed {
  readonly state: string;
  readonly mirrors: number;
  readonly isSuspended: boolean;
  readonly error: string | null;
}

const folder = await Deno.makeTempDir({ prefix: "crs-certified-regions-" });
const processes: CrsProcess[] = [];

/** Creates an authority of a region, and starts its first node. */
async function start(name: string, trustDomain: string): Promise<Region> {
  const place = `${folder}/${trustDomain}`;
  const init = ["identity", "init", "--trust-domain", trustDomain, "--region", name];
  assert.is((await crsInProcess([...init, "--out", place])).code, 0);
  const flags = ["--authority", `${place}/authority`, "--region", name, "--found"];
  const { process, node } = await startCrs(`${place}/data`, {
    flags: [...flags, "--partitions", "8"],
  });
  processes.push(process);
  const { host, port } = node.addresses[0]!;
  const region = { name, folder: place, server: `${host}:${port}` };
  await document(region, "identity issue");
  return region;
}

/** Runs a command at a region's node, as its administrator unless another identity is given. */
async function crs(
  { folder: place }: Region,
  line: string,
  more: readonly string[] = [],
  identity = `${place}/administrator`,
) {
  const who = ["--identity", identity, "--data", `${place}/data`, "--json"];
  const { code, stdout, stderr } = await crsInProcess([...line.split(" "), ...more, ...who]);
  return { code, stderr, document: stdout === "" ? undefined : JSON.parse(stdout) };
}

/** Returns the document of a command that must succeed. */
async function document<T>(...args: Parameters<typeof crs>): Promise<T> {
  const { code, stderr, document: found } = await crs(...args);
  assert.is(code, 0, `crs ${args[1]}: ${stderr}`);
  return found as T;
}

/** Writes a region's trust bundle as an operator does, and returns the path. */
async function bundleOf({ folder: place }: Region): Promise<string> {
  const who = ["--identity", `${place}/administrator`, "--data", `${place}/data`];
  const { code, stdout } = await crsInProcess(["identity", "bundle", ...who]);
  assert.is(code, 0);
  await Deno.writeTextFile(`${place}/bundle`, stdout);
  return `${place}/bundle`;
}

async function add(to: Region, { name, server, ...of }: Region): Promise<void> {
  const bundle = await bundleOf({ name, server, ...of });
  await until(`${to.name} knows ${name}`, async () => {
    const more = ["--servers", server, "--bundle", bundle];
    return (await crs(to, `region add ${name}`, more)).code === 0;
  }, LINK_MS_MAX);
}

async function followed(by: Region, name: string): Promise<Followed> {
  const { document: found } = await crs(by, `region status ${name}`);
  return found.region as Followed;
}

/** Waits until a region is followed as a condition says; fails with what was seen last. */
async function untilFollowed(
  by: Region,
  name: string,
  holds: (followed: Followed) => boolean,
): Promise<void> {
  let last: Followed | undefined;
  try {
    await until(`${by.name} follows ${name}`, async () => {
      last = await followed(by, name);
      return holds(last);
    }, LINK_MS_MAX);
  } catch (cause) {
    throw new Error(`Last seen: ${JSON.stringify(last)}`, { cause });
  }
}

const isFollowing = ({ state, isSuspended }: Followed) => state === "following" && !isSuspended;

const isRefused = ({ state, error }: Followed) =>
  state !== "following" && /^(permission_denied|unauthenticated): /.test(error ?? "");

let eu: Region;
let us: Region;
let gateway = "";

test.before(async () => {
  [eu, us] = await Promise.all([start("eu-1", "eu.example"), start("us-1", "us.example")]);
});

test.after(async () => {
  for (const process of processes) {
    process.kill("SIGKILL");
    await process.ended();
  }
  await Deno.remove(folder, { recursive: true });
});

test("a region is not followed before it has added the one that follows", async () => {
  await add(eu, us);
  await untilFollowed(eu, "us-1", isRefused);
});

test("regions that added each other mirror what their own clients register", async () => {
  await add(us, eu);
  await untilFollowed(eu, "us-1", isFollowing);
  await untilFollowed(us, "eu-1", isFollowing);
  const token = await document<{ token: string; subject: string }>(
    ...[eu, "identity join-token gateway --domain g.example"] as const,
  );
  const issue = ["--subject", token.subject, "--token", token.token];
  const own = `${folder}/gateway`;
  await document(eu, "identity issue", issue, own);
  const { id } = await document<{ id: string }>(
    ...[eu, "gateway register --region eu-1 --ttl 600", GATEWAY, own] as const,
  );
  gateway = id;
  await until("the gateway is found in us-1", async () => {
    return (await crs(us, `gateway get ${id}`)).code === 0;
  }, LINK_MS_MAX);
  const { source } = await document<{ source: { home: string } }>(us, `gateway get ${id}`);
  assert.is(source.home, "eu-1");
});

test("the clients of one region are none of the other, and are told so by its name", async () => {
  const home = await crs(us, `gateway get ${gateway} --home`);
  const { code, homeRegion } = home.document.error;
  assert.equal([code, homeRegion], ["unauthenticated", "eu-1"]);
  const identity = `${folder}/gateway`;
  const there = await crs(us, "gateway register --region us-1 --ttl 600", GATEWAY, identity);
  assert.not.equal(there.code, 0);
});

test("a node that another authority calls one of the region is not believed", async () => {
  const thief = await start("us-1", "thief.example");
  await add(thief, eu);
  await document(thief, "region add ap-1", ["--servers", eu.server]);
  await document(eu, "region set us-1", ["--servers", thief.server]);
  await untilFollowed(eu, "us-1", ({ state, error }) => state !== "following" && error !== null);
  // Neither may it follow eu-1, although it names itself a region that eu-1 has added.
  await untilFollowed(thief, "eu-1", ({ error }) => error !== null);
  const { mirrors, error } = await followed(thief, "eu-1");
  assert.is(mirrors, 0);
  assert.match(error!, /^(permission_denied|unauthenticated|tls_failed|connection_lost): /);
  await document(eu, "region set us-1", ["--servers", us.server]);
  await untilFollowed(eu, "us-1", isFollowing);
});

test("a region that is removed follows no longer, and its mirrors go", async () => {
  await document(us, "region remove eu-1");
  await until("the mirrors are gone", async () => {
    return (await crs(us, `gateway get ${gateway}`)).code === 3;
  }, LINK_MS_MAX);
  await untilFollowed(eu, "us-1", isRefused);
});

test.run();
