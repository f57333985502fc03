/**
 * The way from the command line to a node: its address and its CA, one QUIC dialer, one client.
 */
import { type ErrorCode, RegistryError, toRegistryError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import {
  askAsStranger,
  connect,
  type IssuedIdentity,
  type StrangersOrders,
} from "../client/mod.ts";
import { KeptIdentity } from "../../identity/kept_identity.ts";
import type { World } from "../base/world.ts";
import type { Dialer, Trust } from "../../transport/transport.ts";
import { processWorld } from "../node/process_world.ts";
import { guardRejections } from "../../transport/guard.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import type { Connected, ServerOptions } from "./shell.ts";
import { CliFailure } from "./failure.ts";
import { findTarget, identityOf, type Target, unreachableFailure } from "./target.ts";
import type { Terminal } from "./terminal.ts";

/** A process that has ended will not answer; its successor, just starting, may. */
const GONE_CONNECT_MS = 500;

/**
 * Connects to the registry that the options mean.
 *
 * @throws RegistryError as `findTarget` and the client's `connect`.
 */
export async function connectTo(options: ServerOptions, terminal: Terminal): Promise<Connected> {
  const { environment } = terminal;
  const target = findTarget(options, environment);
  const { endpoints, timeoutMs, local } = target;
  const world = processWorld();
  // Rejections that only the runtime sees say nothing that a call does not say too.
  const guard = guardRejections(globalThis, () => {});
  const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
  let kept: KeptIdentity | undefined;
  const release = async () => {
    kept?.close();
    await dialer.close();
    guard.remove();
  };
  const isGone = local?.isAlive === false;
  try {
    const folder = identityOf(options, environment);
    if (folder !== undefined) kept = await openIdentity(folder, target, { dialer, world });
    const trust = kept === undefined ? target.trust : provenTrust(kept, target);
    const client = await connect({
      endpoints,
      trust,
      dialer,
      world,
      ...(kept === undefined ? {} : { credentials: kept.credentials }),
      options: {
        program: `crs/${VERSION}`,
        timeoutMs,
        connectTimeoutMs: isGone ? Math.min(timeoutMs, GONE_CONNECT_MS) : timeoutMs,
        ...(local === undefined ? {} : { clusterId: local.clusterId }),
      },
    });
    const close = async () => {
      await client.close();
      await release();
    };
    return { client, endpoints, timeoutMs, region: local?.region, close };
  } catch (error) {
    await release();
    const failure = toRegistryError(error);
    if (kept === undefined && failure.code === "malformed") throw identityNeeded(failure);
    throw unreachableFailure(target, environment, failure);
  }
}

/** A node that takes certificates expects a proof where a client without one says hello. */
function identityNeeded(cause: RegistryError): CliFailure {
  return new CliFailure("unauthenticated", "This node talks to identities that it believes only", {
    advice: "Name the folder of yours by --identity or CRS_IDENTITY; crs identity issue makes it.",
    cause,
  });
}

/** The identity of a folder, renewed where that is due. */
export async function openIdentity(
  folder: string,
  target: Target,
  { dialer, world }: { readonly dialer: Dialer; readonly world: World },
): Promise<KeptIdentity> {
  return await KeptIdentity.open({
    folder,
    ...world,
    ask: (order) => askAny("renewIdentity", order, target, { dialer, world }),
    // Without a renewal the certificate goes on for as long as it counts.
    onError: () => {},
  });
}

/** Pins where they are known; a CA alone lets a session read and no more. */
function provenTrust(kept: KeptIdentity, { trust, endpoints, isTrustNamed }: Target): Trust {
  if (isTrustNamed || trust.kind === "pins") return trust;
  const sha256 = endpoints.flatMap((endpoint) => [...kept.pinsOf(endpoint)]);
  return sha256.length === 0 ? trust : { kind: "pins", sha256 };
}

/**
 * Asks the target as somebody without a proof: each endpoint by each pin, until one answers.
 *
 * @throws RegistryError the last failure, or the first refusal.
 */
export async function askAny<Name extends keyof StrangersOrders>(
  name: Name,
  order: StrangersOrders[Name],
  { endpoints, trust, timeoutMs }: Pick<Target, "endpoints" | "trust" | "timeoutMs">,
  { dialer, world }: { readonly dialer: Dialer; readonly world: World },
): Promise<IssuedIdentity> {
  const trusts: Trust[] = trust.kind === "pins"
    ? trust.sha256.map((pin) => ({ kind: "pins", sha256: [pin] }))
    : [trust];
  let failure: RegistryError | undefined;
  for (const endpoint of endpoints) {
    for (const trust of trusts) {
      try {
        return await askAsStranger(name, order, { endpoint, trust, dialer, world, timeoutMs });
      } catch (error) {
        failure = toRegistryError(error);
        if (!MAY_BE_ELSEWHERE.includes(failure.code)) throw failure;
      }
    }
  }
  throw failure ?? new RegistryError("connection_lost", "There is no server to ask");
}

/** Failures that say nothing of the next server or pin. */
const MAY_BE_ELSEWHERE: readonly ErrorCode[] = [
  "tls_failed",
  "connection_lost",
  "deadline_exceeded",
];
