/** Who is served over gRPC: callers with and without an identity, and the doors of relay registries. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CAPABILITY_PREFIX } from "../../../identity/capabilities/capability.ts";
import { type ErrorCode, RegistryError } from "../../../src/base/errors.ts";
import { RELAY_CALLER_MS } from "../../../src/base/limits.ts";
import type { RegistryCalls } from "../../../src/client/types.ts";
import { ClusterRelays } from "../../../src/front/cluster_relays.ts";
import { FrontGrpcCallers } from "../../../src/front/grpc_callers.ts";
import { SharedRelays } from "../../../src/front/shared_relays.ts";
import type { GrpcCaller } from "../../../src/grpc/callers.ts";
import type { CallContext } from "../../../src/grpc/service.ts";
import type { HttpCaller } from "../../../src/http/callers.ts";
import { HttpError, noRoom } from "../../../src/http/errors.ts";
import type { RelayRegistry } from "../../../src/relay/relay_registry.ts";
import { LOCAL_GRPC_PEER } from "../../support/grpc_stream.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

const PATH = "/aeroarc.registry.v1.AeroRegistry/ListRelays";
const ANONYMOUS: GrpcCaller = { peer: LOCAL_GRPC_PEER, path: PATH };
const CERTIFIED: GrpcCaller = {
  peer: { address: "192.0.2.1", isEncrypted: true, certificate: Uint8Array.of(1) },
  path: PATH,
};
const OWN = {} as RegistryCalls;
const ACTING = {} as RegistryCalls;

function codeOf(error: unknown): ErrorCode {
  assert.instance(error, RegistryError);
  return (error as RegistryError).code;
}

/** Returns the callers of a front, and what they ask of those of HTTP. */
function callersWith(allowsLegacyClients: boolean, error?: Error) {
  const asked: HttpCaller[] = [];
  const callers = new FrontGrpcCallers({
    own: OWN,
    allowsLegacyClients,
    callers: {
      take: (caller) => {
        asked.push(caller);
        if (error !== undefined) throw error;
        return { client: ACTING, release() {} };
      },
    },
  });
  return { callers, asked };
}

test("a caller is told apart as one of HTTP, with the path of its method", () => {
  const { callers, asked } = callersWith(false);
  assert.is(callers.take({ ...CERTIFIED, authorization: "Bearer x" }).client, ACTING);
  assert.is(callers.take(ANONYMOUS).client, ACTING);
  assert.equal(asked, [
    {
      peer: { address: "192.0.2.1", scheme: "https:", certificate: Uint8Array.of(1) },
      authorization: "Bearer x",
      method: "POST",
      path: PATH,
    },
    {
      peer: { address: "127.0.0.1", scheme: "http:" },
      authorization: null,
      method: "POST",
      path: PATH,
    },
  ]);
});

test("only callers that present nothing act as the front, and only by the setting", () => {
  const { callers } = callersWith(true);
  assert.is(callers.take(ANONYMOUS).client, OWN);
  assert.is(callers.take(CERTIFIED).client, ACTING);
  assert.is(callers.take({ ...ANONYMOUS, authorization: "Bearer x" }).client, ACTING);
});

test("refusals of HTTP become those of the registry", () => {
  const refusals: readonly (readonly [Error, ErrorCode])[] = [
    [new HttpError("Unauthorized", "malformed", { hint: "" }), "unauthenticated"],
    [noRoom("full"), "overloaded"],
    [new RegistryError("permission_denied", ""), "permission_denied"],
  ];
  for (const [error, code] of refusals) {
    try {
      callersWith(false, error).callers.take(CERTIFIED);
      assert.unreachable();
    } catch (thrown) {
      assert.is(codeOf(thrown), code);
    }
  }
});

/** A door of a shared registry, and how often callers' identities were confirmed. */
function doorWith(allowsAnonymous: boolean, refusal?: RegistryError, answerMs = 0) {
  const world = new SteppedWorld();
  const relays = {} as RelayRegistry;
  const door = new SharedRelays({ relays, allowsAnonymous, clock: world.monotonic });
  let confirmed = 0;
  const client = {
    identities: {
      tokenKeys: async () => {
        confirmed++;
        world.stop(answerMs);
        if (refusal !== undefined) await Promise.reject(refusal);
      },
    },
  } as unknown as RegistryCalls;
  const contextOf = (caller: GrpcCaller): CallContext => (
    { caller, client, signal: new AbortController().signal, timeoutMs: 100 }
  );
  const outcome = (caller: GrpcCaller) =>
    door.for(contextOf(caller)).then((found) => found === relays ? "ok" : "another", codeOf);
  return { world, outcome, confirmed: () => confirmed };
}

test("a shared registry serves an identity that the registry confirms, and asks again after a second", async () => {
  const { world, outcome, confirmed } = doorWith(false);
  assert.is(await outcome(CERTIFIED), "ok");
  assert.is(await outcome(CERTIFIED), "ok");
  assert.is(confirmed(), 1);
  await world.pass(RELAY_CALLER_MS);
  assert.is(await outcome(CERTIFIED), "ok");
  assert.is(confirmed(), 2);
});

test("a shared registry trusts a confirmation from the time of its request on", async () => {
  const { outcome, confirmed } = doorWith(false, undefined, RELAY_CALLER_MS);
  assert.is(await outcome(CERTIFIED), "ok");
  assert.is(await outcome(CERTIFIED), "ok");
  assert.is(confirmed(), 2);
});

test("a shared registry refuses an identity that the registry refuses", async () => {
  const { outcome } = doorWith(true, new RegistryError("unauthenticated", "banned"));
  assert.is(await outcome(CERTIFIED), "unauthenticated");
});

test("a shared registry serves callers without an identity by the setting only", async () => {
  assert.is(await doorWith(false).outcome(ANONYMOUS), "unauthenticated");
  assert.is(await doorWith(true).outcome(ANONYMOUS), "ok");
});

test("a shared registry cannot be opened with a capability", async () => {
  const { outcome, confirmed } = doorWith(true);
  const authorization = `Bearer ${CAPABILITY_PREFIX}x`;
  assert.is(await outcome({ ...CERTIFIED, authorization }), "permission_denied");
  assert.is(confirmed(), 0);
});

test("each caller has a relay registry of its own in the cluster", async () => {
  const relays = new ClusterRelays({}, new SteppedWorld());
  const contextOf = (client: RegistryCalls) => ({ caller: CERTIFIED, client }) as CallContext;
  const first = await relays.for(contextOf(OWN));
  assert.is(await relays.for(contextOf(OWN)), first);
  assert.is.not(await relays.for(contextOf(ACTING)), first);
});

test("leases that are too short for the cluster are refused before there is a caller", async () => {
  const relays = new ClusterRelays({ relayTtlMs: 100 }, new SteppedWorld());
  try {
    await relays.check(OWN);
    assert.unreachable();
  } catch (error) {
    assert.is(codeOf(error), "invalid_configuration");
  }
});

test.run();
