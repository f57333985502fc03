/**
 * Two regions as real nodes, each behind a relay with the delay of a long way: what is registered in one
 * is found in the other, and stays there when its home is lost, until the home says otherwise.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { freePorts } from "../../bench/cluster/ports.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { type CrsProcess, startCrs } from "../support/crs_process.ts";
import { UdpRelay } from "../support/udp_relay.ts";
import { until } from "../support/until.ts";

/** Half of the time of a trip there and back, ms. */
const ONE_WAY_MS = 40;
/** Deadline for what waits for a node that starts, or for a link that is dialed again. */
const LINK_MS_MAX = 60_000;
const GATEWAY = ["--domain", "g.example", "--address", "192.0.2.9", "--port", "4000"];

/** A region of one node, which the other one reaches by the relay. */
interface Region {
  readonly name: string;
  readonly folder: string;
  readonly port: number;
  readonly relay: UdpRelay;
  process: CrsProcess;
}

/** The answer of a resolution, as far as it is looked at here. */
interface Resolved {
  readonly agent: { readonly id: string };
  readonly agentSource: {
    readonly home: string;
    readonly ageMs: number | null;
    readonly suspended: boolean;
  } | null;
}

const folder = await Deno.makeTempDir({ prefix: "crs-regions-" });
const regions: Region[] = [];

async function start(name: string, port: number): Promise<Region> {
  const place = `${folder}/${name}`;
  const { process } = await startCrs(place, { flags: flagsOf(name, port) });
  const relay = new UdpRelay(port);
  relay.delayMs = ONE_WAY_MS;
  const region = { name, folder: place, port, relay, process };
  regions.push(region);
  return region;
}

async function restart(region: Region): Promise<void> {
  const { name, folder: place, port } = region;
  region.process = (await startCrs(place, { flags: flagsOf(name, port) })).process;
}

function flagsOf(name: string, port: number): readonly string[] {
  return ["--region", name, "--port", String(port), "--partitions", "8"];
}

async function kill({ process }: Region): Promise<void> {
  process.kill("SIGKILL");
  await process.ended();
}

async function crs({ folder: place }: Region, line: string, ...more: readonly string[]) {
  const args = [...line.split(" "), ...more, "--data", place, "--json"];
  const { code, stdout, stderr } = await crsInProcess(args);
  return { code, stderr, document: stdout === "" ? undefined : JSON.parse(stdout) };
}

/** Returns the document of a command that must succeed. */
async function document<T>(region: Region, line: string, ...more: readonly string[]): Promise<T> {
  const { code, stderr, document: found } = await crs(region, line, ...more);
  assert.is(code, 0, `crs ${line}: ${stderr}`);
  return found as T;
}

/** Tells a region of another one, which it reaches by the relay of that one. */
async function introduce(to: Region, { name, folder: place, relay }: Region): Promise<void> {
  const servers = ["--servers", `127.0.0.1:${relay.port}`];
  const bundle = ["--bundle", `${place}/identity/ca.pem`];
  // A new cluster knows regions once its node has become a member.
  await until(`${to.name} knows ${name}`, async () => {
    return (await crs(to, `region add ${name}`, ...servers, ...bundle)).code === 0;
  }, LINK_MS_MAX);
}

async function resolved(region: Region, domain: string): Promise<Resolved | undefined> {
  const { code, document: found } = await crs(region, `agent resolve ${domain}`);
  return code === 0 ? found as Resolved : undefined;
}

/** Waits until a domain resolves to a mirror that satisfies a condition. */
async function untilMirrored(
  region: Region,
  domain: string,
  what: string,
  holds: (source: NonNullable<Resolved["agentSource"]>) => boolean = () => true,
): Promise<void> {
  await until(`${domain} in ${region.name}: ${what}`, async () => {
    const source = (await resolved(region, domain))?.agentSource;
    return source !== undefined && source !== null && holds(source);
  }, LINK_MS_MAX);
}

async function untilGone(region: Region, line: string): Promise<void> {
  await until(`not found: ${line}`, async () => (await crs(region, line)).code === 3, LINK_MS_MAX);
}

let eu: Region;
let us: Region;

test.before(async () => {
  const port = freePorts(2);
  [eu, us] = await Promise.all([start("eu-1", port), start("us-1", port + 1)]) as [Region, Region];
  await Promise.all([introduce(eu, us), introduce(us, eu)]);
});

test.after(async () => {
  for (const { process, relay } of regions) {
    process.kill("SIGKILL");
    await process.ended();
    relay.close();
  }
  await Deno.remove(folder, { recursive: true });
});

test("what is registered in one region is found in the other, with its home and age", async () => {
  const { id } = await document<{ id: string }>(eu, "gateway register --ttl 600", ...GATEWAY);
  await document(eu, `agent register --domain a.example --ttl 600 --gateway ${id}`);
  await document(eu, "agent register --domain secret.example --ttl 600 --scope region");
  await document(us, "agent register --domain b.example --ttl 600");
  await untilMirrored(us, "a.example", "fresh", ({ home, ageMs, suspended }) => {
    // What is known is as old as the way at least.
    return home === "eu-1" && !suspended && ageMs !== null && ageMs >= ONE_WAY_MS;
  });
  await untilMirrored(
    eu,
    "b.example",
    "fresh",
    ({ home, suspended }) => home === "us-1" && !suspended,
  );
  const { gateways } = await document<{ gateways: unknown[] }>(us, "gateway list --region eu-1");
  assert.is(gateways.length, 1);
  // It was registered before what is mirrored by now.
  assert.is((await crs(us, "agent resolve secret.example")).code, 3);
  // The other shard may still be on its way.
  await until("us-1 follows all of eu-1", async () => {
    const { document: { region } } = await crs(us, "region status eu-1");
    assert.is(region.refused, 0);
    return region.state === "following" && !region.isSuspended;
  }, LINK_MS_MAX);
});

test("a record is written at its home only, and --home goes there", async () => {
  const { agent } = (await resolved(us, "a.example"))!;
  const refused = await crs(us, `agent deregister ${agent.id}`);
  assert.equal([refused.document.error.code, refused.document.error.homeRegion], [
    ...["foreign_region", "eu-1"],
  ]);
  const own = await document<Resolved>(us, "agent resolve a.example --home");
  assert.equal([own.agent.id, own.agentSource], [agent.id, null]);
  await document(us, "agent register --home --region eu-1 --domain c.example --ttl 600");
  await untilMirrored(us, "c.example", "registered at its home");
});

test("changes made while the link was cut arrive when it is back", async () => {
  eu.relay.sever();
  await document(eu, "agent register --domain d.example --ttl 600");
  const { agent } = (await resolved(us, "c.example"))!;
  await document(eu, `agent deregister ${agent.id}`);
  assert.is((await crs(us, "agent resolve d.example")).code, 3);
  eu.relay.heal();
  await untilMirrored(us, "d.example", "after the cut");
  await untilGone(us, "agent resolve c.example");
});

test("the mirrors of a lost region stay, become suspended, and are fresh again once it is back", async () => {
  await kill(eu);
  const before = (await resolved(us, "a.example"))!.agentSource!;
  await untilMirrored(us, "a.example", "suspended", ({ suspended }) => suspended);
  const after = (await resolved(us, "a.example"))!.agentSource!;
  assert.ok(after.ageMs === null || after.ageMs > (before.ageMs ?? 0), "its age grows");
  assert.is((await crs(us, "region status")).code, 4);
  await restart(eu);
  await untilMirrored(us, "a.example", "fresh again", ({ suspended }) => !suspended);
  const { agent } = (await resolved(us, "d.example"))!;
  await document(eu, `agent deregister ${agent.id}`);
  await untilGone(us, "agent resolve d.example");
});

test("a region that was created again is refused until it is accepted", async () => {
  await kill(eu);
  await Deno.remove(eu.folder, { recursive: true });
  await restart(eu);
  // Its CA is a new one, too; an operator names it.
  await document(us, `region set eu-1 --bundle ${eu.folder}/identity/ca.pem`);
  await introduce(eu, us);
  await document(eu, "agent register --domain e.example --ttl 600");
  let seen: { clusterId: string; generation: number } | null = null;
  await until("us-1 sees that it is another cluster", async () => {
    const { document: found } = await crs(us, "region status eu-1");
    assert.is(found.region.mirrors > 0, true, "nothing is deleted");
    seen = found.region.seen;
    return seen !== null && found.region.state === "refused";
  }, LINK_MS_MAX);
  assert.is((await resolved(us, "a.example"))?.agentSource?.home, "eu-1");
  assert.is((await crs(us, "agent resolve e.example")).code, 3);
  const { clusterId, generation } = seen!;
  const accepted = ["--cluster", clusterId, "--generation", String(generation)];
  await document(us, "region accept-generation eu-1", ...accepted);
  await untilMirrored(us, "e.example", "of the accepted cluster");
  await untilGone(us, "agent resolve a.example");
});

test.run();
