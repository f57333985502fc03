/**
 * The way from the command line to a node: its address and its CA, one dialer, one client.
 */
import { type ErrorCode, RegistryError, toRegistryError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import {
  askAsStranger,
  type ClientOptions,
  connect,
  type IssuedIdentity,
  type StrangersOrders,
  type TokenUse,
} from "../client/mod.ts";
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
import { findTarget, identityOf, type Target, unreachableFailure } from "./target.ts";
import type { Terminal } from "./terminal.ts";
import { tokenGiven, USE_TOKEN_VARIABLE } from "./token_text.ts";

/**
 * Connects to the registry that the options mean.
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
  const token = shownToken(options, terminal);
  const { endpoints, timeoutMs, local } = target;
  const world = processWorld();
  // Rejections that only the runtime sees say nothing that a call does not say too.
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
    const client = await connect({
      endpoints,
      trust,
      dialer,
      world,
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
    // A certificate that is due is renewed over this session: a short command waits for it.
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

/** The token of the options, and why it was refused where it was. */
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
      "Name the folder of yours by --identity or CRS_IDENTITY.",
      "identity",
    );
  }
  const tokens: TokenUse = {
    current: () => useToken,
    refused: ({ code, message, fields }) => {
      const advice = "Ask a controller for another: crs identity token mint --subject makes it.";
      shown.refusal = new CliFailure(code, `The token is refused: ${message}`, { advice, fields });
    },
  };
  const shown: ShownToken = { use: { tokens }, refusal: undefined };
  return shown;
}

/** By QUIC, or by TLS, which shows the certificate of the identity's folder as it is then. */
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

/** A node that takes certificates expects a proof where a client without one says hello. */
function identityNeeded(cause: RegistryError): CliFailure {
  return new CliFailure("unauthenticated", "This node talks to identities that it believes only", {
    advice: "Name the folder of yours by --identity or CRS_IDENTITY; crs identity issue makes it.",
    cause,
  });
}

/** With what a question is carried. */
export interface Asking {
  readonly dialer: Dialer;
  readonly world: World;
  /** Pins that are known by now, beside those of the target. */
  readonly pinsOf?: PinsOf;
}

/** The identity of a folder, renewed where that is due. */
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
      // Without a renewal the certificate goes on for as long as it counts.
      onError: () => {},
    });
  } catch (cause) {
    const { code, message, fields } = toRegistryError(cause);
    if (code !== "unauthenticated") throw cause;
    throw new CliFailure(code, message, { advice: JOIN_ANEW, fields, cause });
  }
}

/** What to do where a certificate is renewed no more. */
export const JOIN_ANEW =
  "Get a certificate by crs identity issue: an administrator's by its key, " +
  "another's by a join token, which a controller makes.";

/**
 * The target with the pins that an identity's trust bundle has for it, where nothing better is known:
 * whoever proves an identity must know which certificate was shown.
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
    `Cannot believe the server as the trust bundle of ${folder} does not name it`,
    "Name the hash of its certificate by --pin (it stands in the node.json of its data folder).",
    "server",
  );
}

/**
 * Asks the target as somebody without a proof: each endpoint, until one answers.
 *
 * @throws RegistryError the last failure, or the first refusal.
 */
export async function askAny<Name extends keyof StrangersOrders>(
  name: Name,
  order: StrangersOrders[Name],
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
    const isByCa = sha256.length === 0 || dialer.transport === "tls";
    const pinned: Trust = isByCa ? trust : { kind: "pins", sha256 };
    const dialMs = connectMs / endpoints.length;
    const options = { endpoint, trust: pinned, dialer, world, timeoutMs, dialMs };
    try {
      return await askAsStranger(name, order, options);
    } catch (error) {
      failure = toRegistryError(error);
      if (!MAY_BE_ELSEWHERE.includes(failure.code)) throw failure;
    }
  }
  const cause = failure ?? new RegistryError("connection_lost", "There is no server to ask");
  throw unreachableFailure({ endpoints, connectMs }, {}, cause);
}

/** Failures that say nothing of the next server. */
const MAY_BE_ELSEWHERE: readonly ErrorCode[] = [
  "tls_failed",
  "connection_lost",
  "deadline_exceeded",
];
