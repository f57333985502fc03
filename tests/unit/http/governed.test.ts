/** The routes of the governed plane over a real registry in the same process. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodeBase64 } from "../../../src/base/base64.ts";
import { type ErrorCode, RegistryError } from "../../../src/base/errors.ts";
import { FACE_PERMISSION_MS } from "../../../src/base/limits.ts";
import { type LogFacts, SILENT_LOGGER } from "../../../src/base/logger.ts";
import type { DelegatedBy } from "../../../src/base/peer.ts";
import { GovernedVerifier } from "../../../src/client/mod.ts";
import type { ReadPayload } from "../../../src/governance/documents/payload.ts";
import type { AppliedEntry } from "../../../src/governance/governed_log.ts";
import { readGenesis } from "../../../src/governance/documents/genesis.ts";
import { signatureJson } from "../../../src/governance/documents/signature.ts";
import { extendsTree, includes } from "../../../src/governance/tree/merkle_proof.ts";
import { leafHash } from "../../../src/governance/tree/merkle_tree.ts";
import { EventReader } from "../../support/event_reader.ts";
import { FakeClient } from "../../support/fake_client.ts";
import {
  A,
  B,
  C,
  D,
  GovernanceHarness,
  signatureOf,
  type TestSigner,
} from "../../support/governance.ts";
import { readerOf, REFUSED_READER } from "../../support/governed_view.ts";
import { firstSigners, placeGoverned, servicePayload } from "../../support/governed_registry.ts";
import { HttpFace, openRegistryFace, type RegistryFace } from "../../support/http_face.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

const V = "/v1/registry";

interface GovernedFace extends RegistryFace {
  readonly genesis: string;
}

async function openGoverned(): Promise<GovernedFace> {
  const open = await openRegistryFace();
  await placeGoverned(open.harness);
  const client = await open.harness.client();
  const bytes = await open.harness.world.wait(client.governed.init(firstSigners([A, B, C]), 2));
  return { ...open, genesis: readGenesis(bytes).hash };
}

/** Returns the body of a proposal with signatures. */
function proposalOf(read: ReadPayload, signers: readonly TestSigner[] = [A, B]) {
  return {
    payload: { schema: read.schema, ...read.payload },
    signatures: signers.map((signer) => signatureJson(signatureOf(signer, read))),
  };
}

/** Proposes and applies a payload; returns the global version. */
async function publish({ face }: GovernedFace, read: ReadPayload): Promise<number> {
  const proposed = await face.ask("POST", `${V}/proposals`, { body: proposalOf(read) });
  assert.is(proposed.status, 202, proposed.text);
  const applied = await face.ask("POST", `${V}/apply/${proposed.json.proposal_id}`);
  assert.is(applied.status, 200, applied.text);
  return applied.json.version;
}

test("a proposal gathers signatures by HTTP and is applied by request, and again", async () => {
  const open = await openGoverned();
  const { face } = open;
  const first = servicePayload(1);
  const proposed = await face.ask("POST", `${V}/proposals`, { body: proposalOf(first, [A]) });
  assert.equal([proposed.status, proposed.json], [202, {
    proposal_id: 1,
    version: null,
    missing: 1,
    payload_b3: first.contentId,
  }]);
  assert.is(proposed.headers.get("location"), `${V}/proposals/1`);
  const early = await face.ask("POST", `${V}/apply/1`);
  assert.equal([early.status, early.json.error.code], [412, "NoQuorum"]);
  // A signature alone, in the other spelling.
  const { signer_id, sig_bytes: sig, ts: signed_at } = signatureJson(signatureOf(B, first));
  const other = { signer_id, algo: "ed25519", sig, signed_at };
  const signed = await face.ask("POST", `${V}/proposals/1/signatures`, { body: other });
  assert.equal([signed.status, signed.json.missing], [200, 0]);
  const shown = await face.ask("GET", `${V}/proposals/1`);
  assert.equal([shown.status, shown.json.payload.id, shown.json.signatures.length], [
    200,
    "svc@eu",
    2,
  ]);
  for (let times = 0; times < 2; times++) {
    const applied = await face.ask("POST", `${V}/apply/1`);
    assert.equal([applied.status, applied.json.version], [200, 1]);
  }
  // What was written is read at once.
  const read = await face.ask("GET", `${V}/descriptors/svc@eu`);
  assert.equal([read.status, read.json.version, read.json.state], [200, 1, "published"]);
  assert.equal([read.json.body, read.json.payload_b3], [{ n: 1 }, first.contentId]);
  assert.equal(read.json.signatures[0], signatureJson(signatureOf(A, first)));
  const stale = await face.ask("POST", `${V}/proposals`, { body: proposalOf(servicePayload(2)) });
  assert.equal([stale.status, stale.json.error.code], [409, "StaleVersion"]);
  const wrong = { signatures: [signatureJson(signatureOf(D, first))] };
  const next = servicePayload(2, first);
  await face.ask("POST", `${V}/proposals`, { body: proposalOf(next, []) });
  const bad = await face.ask("POST", `${V}/proposals/2/signatures`, { body: wrong });
  assert.equal([bad.status, bad.json.error.code], [422, "BadSignature"]);
  assert.is((await face.ask("POST", `${V}/apply/99`)).status, 404);
  const unknown = await face.ask("POST", `${V}/proposals`, { body: { ...proposalOf(next), x: 1 } });
  assert.is(unknown.status, 400);
  const { text } = await face.ask("GET", "/metrics");
  for (
    const line of [
      'registry_update_total{result="applied"} 2',
      'registry_update_total{result="no_quorum"} 1',
      'rejected_total{reason="invalid_sig"} 1',
      'registry_descriptors_total{state="published"} 1',
    ]
  ) {
    assert.ok(text.split("\n").includes(line), `${line}\n${text}`);
  }
});

test("the log names descriptor and version of what was proposed, applied and read", async () => {
  const open = await openGoverned();
  const lines: LogFacts[] = [];
  const note = (_: string, facts: LogFacts = {}) => void lines.push(facts);
  const client = await open.harness.client();
  const logger = { ...SILENT_LOGGER, info: note, debug: note };
  const face = new HttpFace({ client, logger }, open.harness.world);
  const first = servicePayload(1);
  await publish({ ...open, face }, first);
  await face.ask("GET", `${V}/descriptors/svc@eu`);
  await face.ask("GET", `${V}/version`);
  assert.equal(
    lines.map(({ descriptor_id, version, status }) => [descriptor_id, version, status]),
    [
      ["svc@eu", 1, 202],
      ["svc@eu", 1, 200],
      ["svc@eu", 1, 200],
      [undefined, undefined, 200],
    ],
  );
});

test("a first version may leave out schema, version and prev_hash", async () => {
  const open = await openGoverned();
  const read = servicePayload(1);
  const { id, kind, body } = read.payload;
  const { signatures } = proposalOf(read);
  const proposed = await open.face.ask("POST", `${V}/proposals`, {
    body: { payload: { id, kind, body }, signatures },
  });
  assert.equal([proposed.status, proposed.json.missing], [202, 0]);
});

test("descriptors, versions and the region map have ETags and say their age", async () => {
  const open = await openGoverned();
  const { face } = open;
  const empty = await face.ask("GET", `${V}/version`);
  assert.equal([empty.status, empty.json], [200, { version: 0 }]);
  const first = servicePayload(1);
  const second = servicePayload(2, first);
  for (const read of [first, second, servicePayload(1, undefined, "other@eu")]) {
    await publish(open, read);
  }
  const etagOf = async (path: string) => {
    const { status, headers } = await face.ask("GET", path);
    assert.is(status, 200, path);
    assert.ok(Number(headers.get("x-registry-age-ms")) >= 0);
    return headers.get("etag")!;
  };
  const paths = ["/version", "/descriptors", "/descriptors/svc@eu", "/regions/map"];
  for (const path of [...paths, "/descriptors/svc@eu/versions/1"]) {
    const etag = await etagOf(V + path);
    const headers = { "if-none-match": `"x", W/${etag}` };
    const same = await face.ask("GET", V + path, { headers });
    assert.equal([same.status, same.text], [304, ""], path);
  }
  const list = await face.ask("GET", `${V}/descriptors?limit=1`);
  assert.equal([list.json.descriptors[0].id, list.json.next], ["svc@eu", 2]);
  const rest = await face.ask("GET", `${V}/descriptors?limit=1&after=2`);
  assert.equal([rest.json.descriptors[0].id, rest.json.next], ["other@eu", null]);
  const versions = await face.ask("GET", `${V}/descriptors/svc@eu/versions`);
  const states = versions.json.versions.map(({ state }: { state: string }) => state);
  assert.equal([states, versions.json.next], [["replaced", "published"], null]);
  assert.is((await face.ask("GET", `${V}/descriptors/svc@eu/versions/3`)).status, 404);
  assert.is((await face.ask("GET", `${V}/descriptors/none@eu`)).status, 404);
  const map = await face.ask("GET", `${V}/regions/map`);
  assert.equal(map.json, { version: 0, regions: {} });
  const alias = await face.ask("GET", "/version");
  assert.equal([alias.json, alias.headers.has("deprecation")], [{ version: 3 }, true]);
  assert.match(alias.headers.get("link")!, /\/v1\/registry\/version/);
});

test("a read waits for a change after a version, for as long as it says", async () => {
  const open = await openGoverned();
  const { face, harness: { world } } = open;
  const first = servicePayload(1);
  await publish(open, first);
  const started = world.nowMs();
  const none = await face.ask("GET", `${V}/descriptors/svc@eu?after=1&wait=3s`);
  assert.is(none.status, 304);
  assert.ok(world.nowMs() - started >= 3_000);
  const route = `{route="${V}/descriptors/{id}"`;
  const { text } = await face.ask("GET", "/metrics");
  assert.ok(text.includes(`requests_total${route},method="GET",status="304"} 1`), text);
  assert.ok(!text.includes(`request_latency_seconds_count${route}`), "the wait is no latency");
  const waiting = face.open("GET", `${V}/descriptors/svc@eu?after=1&wait=30s`);
  const other = new HttpFace({ client: await open.harness.client() }, world);
  await publish({ ...open, face: other }, servicePayload(2, first));
  const response = await waiting;
  assert.equal([response.status, (await response.json()).version], [200, 2]);
});

test("another front reads what was applied elsewhere when it asks for no age", async () => {
  const open = await openGoverned();
  const other = new HttpFace({ client: await open.harness.client() }, open.harness.world);
  assert.is((await other.ask("GET", `${V}/version`)).json.version, 0);
  await publish(open, servicePayload(1));
  const now = await other.ask("GET", `${V}/version?max_staleness_ms=0`);
  assert.is(now.json.version, 1);
});

test("checkpoint, tiles, proofs and bundles verify", async () => {
  const open = await openGoverned();
  const { face, genesis, harness: { world } } = open;
  let before: ReadPayload | undefined;
  for (let n = 1; n <= 5; n++) await publish(open, before = servicePayload(n, before));
  const note = await face.ask("GET", `${V}/checkpoint`);
  assert.match(note.headers.get("content-type")!, /^text\/plain/);
  const [, size, root] = note.text.split("\n");
  assert.is(size, "5");
  const head = (size: number, root: string) => ({ size, root: decodeBase64(root)! });
  const hashes = (texts: readonly string[]) => texts.map((text) => decodeBase64(text)!);
  for (let version = 1; version <= 5; version++) {
    const { json } = await face.ask("GET", `${V}/proof/inclusion?version=${version}&size=5`);
    assert.is(json.root, root);
    assert.ok(includes(head(5, root!), {
      index: json.leaf_index,
      hash: leafHash(decodeBase64(json.leaf)!),
      proof: hashes(json.proof),
    }));
  }
  const consistent = await face.ask("GET", `${V}/proof/consistency?from=2&to=5`);
  const { from_root, to_root, proof } = consistent.json;
  assert.ok(extendsTree(head(5, to_root), head(2, from_root), hashes(proof)));
  const tile = await face.open("GET", `${V}/tile/0/000.p/5`);
  assert.equal([tile.status, (await tile.bytes()).length], [200, 5 * 32]);
  assert.match(tile.headers.get("cache-control")!, /immutable/);
  assert.is((await face.ask("GET", `${V}/tile/entries/000.p/5`)).status, 200);
  assert.is((await face.ask("GET", `${V}/tile/0/000`)).status, 404);
  assert.is((await face.ask("GET", `${V}/tile/0/..%2f000`)).status, 400);
  assert.is((await face.ask("GET", `${V}/proof/inclusion?version=6`)).status, 404);
  assert.is((await face.ask("GET", `${V}/proof/consistency?from=5&to=2`)).status, 400);
  const bundle = await face.ask("GET", `${V}/bundle/svc@eu`);
  const verifier = new GovernedVerifier({ genesis });
  const verdict = verifier.verify(bundle.text.trim(), { id: "svc@eu", nowMs: world.unixMs() });
  assert.ok(verdict.ok, JSON.stringify(verdict));
});

test("GET /v1/registry/events sends each change once, by its version, with the caller's id", async () => {
  const open = await openGoverned();
  const { face, harness: { world } } = open;
  const first = servicePayload(1);
  await publish(open, first);
  const response = await face.open("GET", `${V}/events?after=0`);
  const reader = new EventReader(response.body!);
  const next = async () => await world.wait(reader.event());
  const old = await next();
  assert.equal([old.event, old.id], ["registry.update", "1"]);
  const second = servicePayload(2, first);
  const corr = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  const headers = { "x-corr-id": corr };
  const proposed = await face.ask("POST", `${V}/proposals`, { body: proposalOf(second), headers });
  const told = await next();
  const told_ = JSON.parse(told.data!);
  assert.equal([told.id, told_.type, told_.corr_id], [undefined, "Proposed", corr]);
  await face.ask("POST", `${V}/apply/${proposed.json.proposal_id}`, { headers });
  const { id, data } = await next();
  const { committed_at, ...rest } = JSON.parse(data!);
  assert.ok(committed_at > 0);
  assert.equal([id, rest], ["2", {
    type: "Published",
    version: 2,
    payload_b3: second.contentId,
    corr_id: corr,
    id: "svc@eu",
    kind: "service",
    id_version: 2,
    proposal_id: 2,
  }]);
  await reader.leave();
  // Another front continues; one that is shown a later log says so.
  const other = new HttpFace({ client: await open.harness.client() }, world);
  const again = await other.open("GET", `${V}/events`, { headers: { "last-event-id": "1" } });
  const rest2 = new EventReader(again.body!);
  assert.is((await world.wait(rest2.event())).id, "2");
  await rest2.leave();
  const lost = await other.open("GET", `${V}/events`, { headers: { "last-event-id": "9" } });
  const reset = new EventReader(lost.body!);
  assert.equal((await world.wait(reset.event())).event, "reset");
  await reset.leave();
  const bad = await other.ask("GET", `${V}/events`, { headers: { "last-event-id": "x" } });
  assert.is(bad.status, 400);
});

/** Returns a view of a plane, and what tells its followers of the newest entry. */
function followed(plane: GovernanceHarness) {
  const listeners = new Set<(entry: AppliedEntry) => void>();
  const view = {
    get plane() {
      return plane.plane;
    },
    get version() {
      return plane.plane.log.version;
    },
    ageMs: () => 0,
    follow: (listener: (entry: AppliedEntry) => void) => listeners.add(listener),
    refresh: () => Promise.resolve(),
    close: () => {},
  };
  const tell = () => {
    const { log } = plane.plane;
    for (const listener of listeners) listener(log.at(log.version)!);
  };
  return { view, tell };
}

test("an event has the correlation id of its request, even if it is told before the answer", async () => {
  const plane = new GovernanceHarness();
  const proposal = 1;
  assert.is(plane.propose(plane.next({ id: "svc@eu" }), [A, B]).code, "ok");
  const { view, tell } = followed(plane);
  let isRefused = true;
  const apply = async () => {
    if (isRefused) throw new RegistryError("no_quorum", "It lacks a signature");
    assert.is(plane.applied(proposal).code, "ok");
    tell();
    await event;
    return { proposal, version: 1, missing: 0 };
  };
  const { client } = new FakeClient({});
  const governed = { view: () => Promise.resolve(view), apply };
  const face = new HttpFace({ client: { ...client, governed } as never });
  const reader = new EventReader((await face.open("GET", `${V}/events`)).body!);
  const event = reader.event();
  const statusOf = async (corr: string) => {
    const headers = { "x-corr-id": corr };
    return (await face.ask("POST", `${V}/apply/${proposal}`, { headers })).status;
  };
  assert.is(await statusOf("01ARZ3NDEKTSV4RRFFQ69G5FAA"), 412);
  isRefused = false;
  assert.is(await statusOf("01ARZ3NDEKTSV4RRFFQ69G5FAV"), 200);
  assert.is(JSON.parse((await event).data!).corr_id, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  await reader.leave();
});

test("the governed plane of an ungoverned registry is version 0, and has nothing", async () => {
  const open = await openRegistryFace();
  await placeGoverned(open.harness);
  const { face } = open;
  assert.equal((await face.ask("GET", `${V}/version`)).json, { version: 0 });
  const list = await face.ask("GET", `${V}/descriptors`);
  assert.equal(list.json, { version: 0, descriptors: [], next: null });
  for (
    const path of ["/descriptors/a@b", "/checkpoint", "/bundle/a@b", "/proof/consistency?from=0"]
  ) {
    assert.is((await face.ask("GET", V + path)).status, 404, path);
  }
});

test("the governed plane is read for those who may read it, where the face itself may not", async () => {
  const denied = () => Promise.reject(new RegistryError("permission_denied", "Not allowed"));
  const view = {
    plane: undefined,
    version: 7,
    fault: undefined,
    ageMs: () => 5,
    follow: () => () => {},
    close: () => {},
  };
  let mayRead = true;
  const { client } = new FakeClient({});
  const caller = {
    ...client,
    governed: {
      view: () => Promise.resolve(view),
      status: () => mayRead ? Promise.resolve({}) : denied(),
    },
  };
  const face = new HttpFace({
    client: caller as never,
    governedReader: { governed: { view: denied, status: denied } },
  });
  assert.is((await face.ask("GET", `${V}/version`)).json.version, 7);
  mayRead = false;
  assert.is((await face.ask("GET", `${V}/version`)).status, 403);
});

/** A caller of a plane that everybody may read, who presents something, and what the registry says of it. */
function presenting(evidence: DelegatedBy) {
  const plane = new GovernanceHarness();
  plane.decide(plane.next({ id: "svc@eu" }));
  let said: ErrorCode | undefined;
  const asked: unknown[] = [];
  const status = (options: unknown) => {
    asked.push(options);
    return said === undefined ? Promise.resolve({}) : Promise.reject(new RegistryError(said, ""));
  };
  const { client } = new FakeClient({});
  const world = new SteppedWorld();
  const caller = { ...client, evidence, governed: { status } };
  const face = new HttpFace({ client: caller as never, governedReader: readerOf(plane) }, world);
  return { face, world, asked, say: (code: ErrorCode | undefined) => void (said = code) };
}

test("what a caller presents must be valid, also where everybody may read", async () => {
  const { face, world, asked, say } = presenting("capability");
  const paths = [
    "version",
    "descriptors",
    "descriptors/svc@eu",
    "regions/map",
    "events",
    "tile/0/000",
  ];
  for (const code of ["unauthenticated", "malformed"] as const) {
    say(code);
    for (const path of paths) {
      const { status } = await face.open("GET", `${V}/${path}`);
      assert.is(status, code === "malformed" ? 400 : 401, path);
    }
  }
  say(undefined);
  assert.is((await face.ask("GET", `${V}/version`)).json.version, 1);
  const before = asked.length;
  say("unauthenticated");
  assert.is((await face.ask("GET", `${V}/descriptors/svc@eu`)).status, 200, "a moment ago it was");
  assert.is(asked.length, before);
  await world.pass(FACE_PERMISSION_MS);
  assert.is((await face.ask("GET", `${V}/descriptors/svc@eu`)).status, 401);
});

test("a valid caller reads what everybody may, whatever else it may do and while nobody can be asked", async () => {
  for (const code of ["permission_denied", "connection_lost", "deadline_exceeded"] as const) {
    const { face, asked, say } = presenting("certificate");
    say(code);
    const answers = await Promise.all([1, 2].map(() => face.ask("GET", `${V}/version`)));
    assert.equal(answers.map(({ status }) => status), [200, 200], code);
    assert.equal(asked, [{ timeoutMs: FACE_PERMISSION_MS }], "asked once for both");
  }
  const { face, asked } = presenting("none");
  assert.is((await face.ask("GET", `${V}/version`)).status, 200);
  assert.equal(asked, []);
});

test("a caller who may read some descriptors reads those, as the registry decides", async () => {
  const plane = new GovernanceHarness();
  for (const id of ["svc@eu", "svc@eu", "other@eu"]) plane.decide(plane.next({ id }));
  const denied = () => Promise.reject(new RegistryError("permission_denied", "Not this one"));
  const waits: unknown[] = [];
  const history = (id: string, wait: unknown) => {
    waits.push(wait);
    return id === "svc@eu" ? Promise.resolve({ log: plane.plane.log, ageMs: () => 9 }) : denied();
  };
  const bundle = (id: string) => id === "svc@eu" ? Promise.resolve("{}") : denied();
  const { client } = new FakeClient({});
  const governed = { view: denied, status: denied, history, bundle };
  const face = new HttpFace({
    client: { ...client, evidence: "capability", governed } as never,
    governedReader: REFUSED_READER,
  });
  const head = await face.ask("GET", `${V}/descriptors/svc@eu`);
  assert.equal([head.status, head.json.version, head.json.state], [200, 2, "published"]);
  assert.is(head.headers.get("x-registry-age-ms"), "9");
  const etag = head.headers.get("etag")!;
  const same = await face.ask("GET", `${V}/descriptors/svc@eu`, {
    headers: { "if-none-match": etag },
  });
  assert.is(same.status, 304);
  const all = await face.ask("GET", `${V}/descriptors/svc@eu/versions`);
  assert.equal(all.json.versions.map(({ state }: { state: string }) => state), [
    "replaced",
    "published",
  ]);
  assert.is((await face.ask("GET", `${V}/descriptors/svc@eu/versions/1`)).json.version, 1);
  assert.is((await face.ask("GET", `${V}/bundle/svc@eu`)).text, "{}\n");
  await face.ask("GET", `${V}/descriptors/svc@eu?after=2&wait=5s`);
  assert.equal(waits, [undefined, undefined, undefined, undefined, { after: 2, ms: 5_000 }]);
  for (
    const path of ["descriptors/other@eu", "bundle/other@eu", "version", "descriptors", "events"]
  ) {
    assert.is((await face.ask("GET", `${V}/${path}`)).status, 403, path);
  }
});

test("a caller who may no longer read is told nothing more, in an event stream or after a wait", async () => {
  const denied = () => Promise.reject(new RegistryError("permission_denied", "Not allowed"));
  const plane = new GovernanceHarness();
  const { view, tell } = followed(plane);
  const publishNext = () => {
    assert.is(plane.decide(plane.next({ id: "svc@eu" })), "ok");
    tell();
  };
  let mayRead = true;
  let asked = 0;
  const status = () => {
    asked++;
    return mayRead ? Promise.resolve({}) : denied();
  };
  const { client } = new FakeClient({});
  const governed = { view: () => Promise.resolve(view), status };
  const governedReader = { governed: { view: denied, status: denied } };
  const world = new SteppedWorld();
  const face = new HttpFace({ client: { ...client, governed } as never, governedReader }, world);
  const reader = new EventReader((await face.open("GET", `${V}/events`)).body!);
  const before = asked;
  for (const version of ["1", "2"]) {
    publishNext();
    assert.is((await reader.event()).id, version);
  }
  // It was asked about a moment ago.
  assert.is(asked, before);
  await world.pass(FACE_PERMISSION_MS);
  publishNext();
  assert.is((await reader.event()).id, "3");
  assert.is(asked, before + 1);
  const waiting = face.ask("GET", `${V}/version?after=3&wait=30s`);
  await world.settle();
  mayRead = false;
  await world.pass(FACE_PERMISSION_MS);
  publishNext();
  const { event, data } = await reader.event();
  assert.equal([event, JSON.parse(data!).error.code], ["error", "Forbidden"]);
  assert.is(await reader.next(), undefined);
  assert.is((await waiting).status, 403);
});

test.run();
