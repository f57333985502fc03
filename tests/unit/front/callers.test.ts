/** The callers of a front: which requests share a delegation, and when it is given up. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FRONT_CALLER_IDLE_MS } from "../../../src/base/limits.ts";
import type { CallerEvidence, DelegatedClient } from "../../../src/client/types.ts";
import { mintCapability, readCapability } from "../../../identity/capabilities/capability.ts";
import { Guarded, RequestCaveats } from "../../../identity/capabilities/guarded.ts";
import { capabilityRefused } from "../../../identity/capabilities/verify.ts";
import { isWithin } from "../../../identity/capabilities/request_path.ts";
import { rootKeyOf } from "../../../identity/capabilities/root_key.ts";
import { FrontCallers } from "../../../src/front/callers.ts";
import type { HttpPeer } from "../../../src/http/callers.ts";
import { pathOf } from "../../../src/http/reply.ts";
import { HttpError } from "../../../src/http/errors.ts";
import { refusalOf } from "../../support/refusal.ts";

class Scene {
  nowMs = 0;
  /** Evidence of the open delegations. */
  readonly open: CallerEvidence[] = [];
  readonly callers: FrontCallers;

  constructor(callersMax = 10) {
    this.callers = new FrontCallers({
      client: {
        delegate: (evidence) => {
          this.open.push(evidence);
          const close = () => void this.open.splice(this.open.indexOf(evidence), 1);
          return { close } as DelegatedClient;
        },
        delegateCapability: (capability, address = "") => {
          const form = readCapability(capability);
          if (typeof form === "string") throw capabilityRefused(form);
          const evidence = { kind: "none", address: `capability ${address}` } as const;
          this.open.push(evidence);
          const close = () => void this.open.splice(this.open.indexOf(evidence), 1);
          return new Guarded({ close } as DelegatedClient, new RequestCaveats(form.caveats));
        },
      },
      clock: { nowMs: () => this.nowMs },
      callersMax,
    });
  }

  take(
    peer: Partial<HttpPeer> = {},
    authorization: string | null = null,
    { method = "GET", path = "/v1/agents" } = {},
  ) {
    const known: HttpPeer = { address: "192.0.2.1", scheme: "https:", ...peer };
    return this.callers.take({ peer: known, authorization, method, path });
  }
}

const LEAF = Uint8Array.of(1, 2, 3);

test("FrontCallers: requests of one certificate and token share a client, others do not", () => {
  const scene = new Scene();
  const first = scene.take({ certificate: LEAF });
  assert.is(scene.take({ certificate: LEAF.slice(), address: "192.0.2.2" }).client, first.client);
  assert.not.equal(scene.take({ certificate: Uint8Array.of(4) }).client, first.client);
  assert.not.equal(scene.take({ certificate: LEAF }, "Bearer a.b.c").client, first.client);
  assert.not.equal(scene.take().client, first.client);
  assert.equal(scene.open.map(({ kind }) => kind), [
    "certificate",
    "certificate",
    "certificate",
    "none",
  ]);
  const token = scene.open[2] as Extract<CallerEvidence, { kind: "certificate" }>;
  assert.equal([token.token, token.chain, token.address], ["a.b.c", [LEAF], "192.0.2.1"]);
});

test("FrontCallers: anonymous callers of one address share a client", () => {
  const scene = new Scene();
  assert.is(scene.take().client, scene.take().client);
  assert.not.equal(scene.take({ address: "192.0.2.2" }).client, scene.take().client);
});

test("FrontCallers refuses a bearer token without its certificate, and what is no bearer token", () => {
  const scene = new Scene();
  const attempts: [Partial<HttpPeer>, string][] = [
    [{}, "Bearer a.b.c"],
    [{ certificate: LEAF }, "Basic dXNlcjpwYXNz"],
    [{ certificate: LEAF }, "Bearer"],
    [{ certificate: LEAF }, "Bearer a b"],
    [{}, ""],
  ];
  for (const [peer, authorization] of attempts) {
    assert.throws(
      () => scene.take(peer, authorization),
      (error: unknown) => error instanceof HttpError && error.code === "Unauthorized",
      authorization,
    );
  }
  assert.equal(scene.open, []);
});

test("FrontCallers: a capability serves the requests that its caveats permit, whoever sends them", () => {
  const scene = new Scene();
  const text = mintCapability(rootKeyOf(new Uint8Array(32)), new Uint8Array(16).fill(1), [
    { kind: "expiry", atMs: 1_000 },
    { kind: "scope", any: ["records:read"] },
    { kind: "method", any: ["GET"] },
    { kind: "path", any: ["/v1/agents"] },
    { kind: "address", any: ["192.0.2.0/24"] },
  ]);
  const bearer = `Bearer ${text}`;
  const permitted = scene.take({}, bearer);
  assert.is(
    scene.take({ certificate: LEAF, address: "192.0.2.9" }, bearer).client,
    permitted.client,
  );
  const refused: [Partial<HttpPeer>, { method?: string; path?: string }][] = [
    [{}, { method: "POST" }],
    [{}, { path: "/v1/gateways" }],
    [{ address: "198.51.100.1" }, {}],
  ];
  for (const [peer, request] of refused) {
    assert.is(refusalOf(() => scene.take(peer, bearer, request)).code, "permission_denied");
  }
  assert.is(refusalOf(() => scene.take({}, `${bearer.slice(0, -60)}`)).code, "unauthenticated");
  assert.is(scene.open.length, 1);
  scene.callers.close();
  assert.equal(scene.open, []);
});

test("pathOf returns the path as it was sent, which a caveat then refuses if it can be read in two ways", () => {
  const paths = [
    "/v1/agents",
    "/v1/agents/../gateways",
    "/v1/agents\\..\\gateways",
    "/v1/%61gents",
    "/",
  ];
  for (const path of paths) {
    for (const rest of ["", "?region=a/b", "?a?b"]) {
      assert.is(pathOf({ url: `http://localhost${path}${rest}` }), path);
    }
  }
  const within = paths.map((path) => isWithin(path, "/v1/agents"));
  assert.equal(within, [true, false, false, true, false]);
});

test("FrontCallers: at the limit the caller that was idle for longest gives way, and none in use", () => {
  const scene = new Scene(2);
  const [first, second] = [scene.take({ address: "1" }), scene.take({ address: "2" })];
  assert.throws(
    () => scene.take({ address: "3" }),
    (error: unknown) => error instanceof HttpError && error.code === "StoreUnavailable",
  );
  second.release();
  second.release();
  scene.take({ address: "3" });
  assert.equal(scene.open.map(({ address }) => address), ["1", "3"]);
  first.release();
  assert.is(scene.callers.count, 2);
});

test("FrontCallers closes those that were idle for long when another one comes, and all at the end", () => {
  const scene = new Scene();
  scene.take({ address: "1" }).release();
  const watching = scene.take({ address: "2" });
  scene.nowMs = FRONT_CALLER_IDLE_MS;
  scene.take({ address: "3" }).release();
  assert.equal(scene.open.map(({ address }) => address), ["2", "3"]);
  watching.release();
  scene.callers.close();
  assert.equal(scene.open, []);
});

test.run();
