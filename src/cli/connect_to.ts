/** Connects the command line to a node: address and trust, one dialer, one client. */
import { type ErrorCode, RegistryError, toRegistryError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import {
  askUnauthenticated,
  type ClientOptions,
  type IssuedIdentity,
  type TokenUse,
  type UnauthenticatedOrders,
} from "../client/mod.ts";
import { connectCaller } from "../client/client.ts";
import { IdentityFolder } from "../../identity/files/identity_folder.ts";
import { KeptIdentity, type PinsOf, pinsOf } from "../../identity/files/kept_identity.ts";
import type { World } from "../base/world.ts";
import type { Dialer, Trust } from "../../transport/transport.ts";
import { processWorld } from "../node/process_world.ts";
import { guardRejections } from "../../transport/guard.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { TlsDialer } from "../../transport/tls_dialer.ts";
import type { Connected, ServerOptions } from "./shell.ts";
import { CliFailure, usageFailure } from "./failure.ts";
import { findTarget, identityOf, stalenessOf, type Target, unreachableFailure } from "./target.ts";
import type { Terminal } from "./terminal.ts";
import { tokenGiven, USE_TOKEN_VARIABLE } from "./token_text.ts";

/**
 * Connects to the registry selected by the options.
 *
 * @throws RegistryError as `findTarget` and the client's `connect`.
 */
export async function connectTo(
  options: ServerOptions,
  terminal: Terminal,
  onConnection?: ClientOptions["onConnection"],
): Promise<Connected> {
  const { environment } = terminal;
  const target = findTarget(options, environment);
  const maxStalenessMs = stalenessOf(options);
  const token = shownToken(options, terminal);
  const { endpoints, timeoutMs, local } = target;
  const world = processWorld();
  // Rejections that only the runtime sees carry nothing that a call does not report too.
  const guard = guardRejections(globalThis, () => {});
  const dialer = dialerOf(options, environment, world);
  let kept: KeptIdentity | undefined;
  const release = async () => {
    kept?.close();
    await dialer.close();
    guard.remove();
  };
  try {
    const folder = identityOf(options, environment);
    const proven = folder === undefined ? target : await provenTarget(target, folder, world);
    if (folder !== undefined) kept = await openIdentity(folder, proven, { dialer, world });
    const { trust } = proven;
    const client = await connectCaller({
      endpoints,
      trust,
      dialer,
      world,
      maxStalenessMs,
      ...(kept === undefined ? {} : { credentials: { ...kept.credentials, ...token.use } }),
      options: {
        program: `crs/${VERSION}`,
        timeoutMs,
        connectTimeoutMs: target.connectMs,
        ...(onConnection === undefined ? {} : { onConnection }),
        ...(local === undefined ? {} : { clusterId: local.clusterId }),
      },
    });
    const close = async () => {
      await client.close();
      await release();
    };
    // A certificate that is due is renewed over this session; even a short command waits for it.
    await kept?.settled();
    if (token.refusal !== undefined) {
      await client.close();
      throw token.refusal;
    }
    const identity = kept === undefined ? {} : { identity: kept };
    return { client, endpoints, timeoutMs, region: local?.region, ...identity, close };
  } catch (error) {
    await release();
    const failure = toRegistryError(error);
    if (kept === undefined && failure.code === "unauthenticated") throw identityNeeded(failure);
    throw unreachableFailure(target, environment, failure);
  }
}

/** The token passed by the options, and why it was refused, if it was. */
interface ShownToken {
  readonly use: { readonly tokens?: TokenUse };
  refusal: RegistryError | undefined;
}

function shownToken(options: ServerOptions, terminal: Terminal): ShownToken {
  const useToken = tokenGiven({
    noun: "token",
    flag: "--use-token",
    variable: USE_TOKEN_VARIABLE,
    text: options.useToken,
    file: options.useTokenFile,
  }, terminal);
  if (useToken === undefined) return { use: {}, refusal: undefined };
  if (identityOf(options, terminal.environment) === undefined) {
    throw usageFailure(
      "--use-token needs an identity: a token is bound to a certificate",
      "Pass your identity folder with --identity or CRS_IDENTITY.",
      "identity",
    );
  }
  const tokens: TokenUse = {
    current: () => useToken,
    refused: ({ code, message, fields }) => {
      const advice = "Ask a controller for another one (crs identity token mint --subject).";
      shown.refusal = new CliFailure(code, `The token was refused: ${message}`, { advice, fields });
    },
  };
  const shown: ShownToken = { use: { tokens }, refusal: undefined };
  return shown;
}

/**
 * Returns a QUIC dialer or, with `--tls`, a TLS dialer that presents the current certificate of the
 * identity's folder.
 */
export function dialerOf(
  options: ServerOptions,
  environment: Terminal["environment"],
  { scheduler }: World,
): Dialer {
  const onError = () => {};
  const folder = options.tls === true ? identityOf(options, environment) : undefined;
  if (folder === undefined) return new QuicDialer({ scheduler, onError });
  const certificate = () => new IdentityFolder(folder).pem;
  return new TlsDialer({ scheduler, onError, certificate });
}

/** A node that accepts certificates expects a handshake where a client without one sends Hello. */
function identityNeeded(cause: RegistryError): CliFailure {
  return new CliFailure("unauthenticated", "This node serves authenticated clients only", {
    advice:
      "Pass an identity folder with --identity or CRS_IDENTITY; crs identity issue creates one.",
    cause,
  });
}

/** The means of sending a request. */
export interface Asking {
  readonly dialer: Dialer;
  readonly world: World;
  /** Returns the currently known pins of an endpoint, in addition to those of the target. */
  readonly pinsOf?: PinsOf;
}

/** Opens the identity of a folder and renews it if due. */
async function openIdentity(
  folder: string,
  target: Target,
  { dialer, world }: Asking,
): Promise<KeptIdentity> {
  try {
    return await KeptIdentity.open({
      folder,
      ...world,
      ask: (order, pinsOf) => askAny("renewIdentity", order, target, { dialer, world, pinsOf }),
      // If the renewal fails, the certificate is used for as long as it is valid.
      onError: () => {},
    });
  } catch (cause) {
    const { code, message, fields } = toRegistryError(cause);
    if (code !== "unauthenticated") throw cause;
    throw new CliFailure(code, message, { advice: JOIN_ANEW, fields, cause });
  }
}

/** Advice for a certificate that can no longer be renewed. */
export const JOIN_ANEW =
  "Get a new certificate with crs identity issue, using the administrator's key or, " +
  "for any other subject, a join token from a controller.";

/**
 * Returns the target with the pins its endpoints have in the identity's trust bundle, unless trust
 * was given or pins are known already. A client that proves an identity must know which certificate
 * the server presented.
 */
export async function provenTarget(
  target: Target,
  folder: string,
  { wall }: Pick<World, "wall">,
): Promise<Target> {
  const { trust, endpoints, isTrustNamed } = target;
  if (isTrustNamed === true || trust.kind === "pins") return target;
  const known = await new IdentityFolder(folder).trust(wall.unixMs());
  const sha256 = endpoints.flatMap((endpoint) => [...pinsOf(known, endpoint)]);
  if (sha256.length > 0) return { ...target, trust: { kind: "pins", sha256 } };
  throw usageFailure(
    `Cannot verify the server as the trust bundle of ${folder} does not contain it`,
    "Pass the hash of its certificate with --pin (see node.json in its data folder).",
    "server",
  );
}

/**
 * Sends an unauthenticated request to the endpoints of the target in turn, until one answers.
 *
 * @throws RegistryError the last failure, or the first refusal.
 */
export async function askAny<Name extends "enrol" | "renewIdentity">(
  name: Name,
  order: UnauthenticatedOrders[Name],
  { endpoints, trust, timeoutMs, connectMs }: Pick<
    Target,
    "endpoints" | "trust" | "timeoutMs" | "connectMs"
  >,
  { dialer, world, pinsOf }: Asking,
): Promise<IssuedIdentity> {
  const given = trust.kind === "pins" ? trust.sha256 : [];
  let failure: RegistryError | undefined;
  for (const endpoint of endpoints) {
    const sha256 = [...pinsOf?.(endpoint) ?? [], ...given];
    const isByCa = sha256.length === 0 || !dialer.pinsServer;
    const pinned: Trust = isByCa ? trust : { kind: "pins", sha256 };
    const dialMs = connectMs / endpoints.length;
    const options = { endpoint, trust: pinned, dialer, world, timeoutMs, dialMs };
    try {
      return await askUnauthenticated(name, order, options);
    } catch (error) {
      failure = toRegistryError(error);
      if (!MAY_BE_ELSEWHERE.includes(failure.code)) throw failure;
    }
  }
  const cause = failure ?? new RegistryError("connection_lost", "There is no server to ask");
  throw unreachableFailure({ endpoints, connectMs }, {}, cause);
}

/** Failures that do not imply a failure of the next server. */
const MAY_BE_ELSEWHERE: readonly ErrorCode[] = [
  "tls_failed",
  "connection_lost",
  "deadline_exceeded",
];
