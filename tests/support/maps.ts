/**
 * The Maps service over a real registry in the same process: requests and answers pass through their
 * encodings, as on the wire, without a connection.
 */
import {
  create,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { defined } from "../../src/base/assert.ts";
import { MAPS_LEASE_MS_DEFAULT } from "../../src/base/limits.ts";
import { type Logger, SILENT_LOGGER } from "../../src/base/logger.ts";
import type { RegistryCalls } from "../../src/client/types.ts";
import { mapsService } from "../../src/grpc/maps/maps_service.ts";
import type { CallContext } from "../../src/grpc/service.ts";
import { Maps } from "../../schemas/proto/gen/maps/maps_pb.ts";
import { type HarnessOptions, RegistryHarness } from "./registry_harness.ts";

type Methods = typeof Maps.method;
/** The name of a method. */
export type MapsMethod = keyof Methods;
/** The fields of a method's request. */
export type MapsRequest<Name extends MapsMethod> = MessageInitShape<Methods[Name]["input"]>;
/** The answer of a method. */
export type MapsAnswer<Name extends MapsMethod> = MessageShape<Methods[Name]["output"]>;

/** Options of {@link callMaps}. */
export interface MapsCallOptions {
  /** Takes the place of a client, when it is read. */
  readonly refusal?: Error;
  readonly logger?: Logger;
  readonly leaseMs?: number;
}

/** Answers a call as the caller whose client it is. */
export async function callMaps<Name extends MapsMethod>(
  client: RegistryCalls | undefined,
  name: Name,
  request: MapsRequest<Name>,
  options: MapsCallOptions = {},
): Promise<MapsAnswer<Name>> {
  const { refusal, logger = SILENT_LOGGER, leaseMs = MAPS_LEASE_MS_DEFAULT } = options;
  const service = mapsService({ leaseMs, logger });
  const { input, output } = Maps.method[name];
  const method = defined(
    service.methods.find(({ descriptor }) => descriptor.localName === name),
    "The service implements each method",
  );
  const context: CallContext = {
    caller: { peer: { address: "127.0.0.1", isEncrypted: false }, path: method.path },
    get client() {
      if (refusal !== undefined) throw refusal;
      return defined(client, "A call that is not refused has a client");
    },
    signal: new AbortController().signal,
    timeoutMs: undefined,
  };
  const sent = fromBinary(input, toBinary(input, create(input, request as object)));
  // deno-lint-ignore no-explicit-any -- the functions of a service have types of their own each.
  const answer = await (method.run as any)(sent, context);
  return fromBinary(output, toBinary(output, create(output, answer))) as MapsAnswer<Name>;
}

/** The service before a registry. */
export class MapsFace {
  readonly harness: RegistryHarness;
  readonly #client: RegistryCalls;

  constructor(harness: RegistryHarness, client: RegistryCalls) {
    this.harness = harness;
    this.#client = client;
  }

  /** Opens a registry, a client, and the service before it. */
  static async open(options?: HarnessOptions): Promise<MapsFace> {
    const harness = await RegistryHarness.open(options);
    await harness.raiseVersion();
    return new MapsFace(harness, await harness.client());
  }

  /** Answers a call. */
  call<Name extends MapsMethod>(
    name: Name,
    request: MapsRequest<Name>,
    options?: MapsCallOptions,
  ): Promise<MapsAnswer<Name>> {
    return this.harness.world.wait(callMaps(this.#client, name, request, options));
  }
}
