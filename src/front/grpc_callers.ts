/**
 * The callers of the gRPC face, as those of HTTP are told apart (callers.ts). Programs that bring no
 * identity, such as relays made for other registries, act as the front itself if a setting says so.
 */
import { GRPC_RETRY_AFTER_MS } from "../base/limits.ts";
import { RegistryError } from "../base/errors.ts";
import type { RegistryCalls } from "../client/types.ts";
import type { GrpcCaller, GrpcCallers, LentClient } from "../grpc/callers.ts";
import type { HttpCallers } from "../http/callers.ts";
import { HttpError } from "../http/errors.ts";

/** Options of {@link FrontGrpcCallers}. */
export interface FrontGrpcCallersOptions {
  readonly callers: HttpCallers;
  /** The client of the front itself. */
  readonly own: RegistryCalls;
  /** Whether callers without an identity act as the front. */
  readonly allowsLegacyClients: boolean;
}

/** The callers of the gRPC face of a front. */
export class FrontGrpcCallers implements GrpcCallers {
  readonly #options: FrontGrpcCallersOptions;

  constructor(options: FrontGrpcCallersOptions) {
    this.#options = options;
  }

  take(caller: GrpcCaller): LentClient {
    const { callers, own, allowsLegacyClients } = this.#options;
    if (allowsLegacyClients && isAnonymous(caller)) return { client: own, release() {} };
    const { peer: { address, certificate, isEncrypted }, authorization = null, path } = caller;
    const scheme = isEncrypted ? "https:" as const : "http:" as const;
    const peer = { address, scheme, ...(certificate === undefined ? {} : { certificate }) };
    try {
      return callers.take({ peer, authorization, method: "POST", path });
    } catch (error) {
      throw error instanceof HttpError ? registryError(error) : error;
    }
  }
}

/** Reports whether a caller presents nothing. */
export function isAnonymous({ peer, authorization }: GrpcCaller): boolean {
  return peer.certificate === undefined && authorization === undefined;
}

function registryError(error: HttpError): RegistryError {
  const { code, message } = error;
  if (code === "Unauthorized") return new RegistryError("unauthenticated", message, {}, error);
  return new RegistryError("overloaded", message, { retryAfterMs: GRPC_RETRY_AFTER_MS }, error);
}
