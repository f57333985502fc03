/** The parameters of a client: their check, its hello, and the parameters of clients of other regions. */
import type { Hello } from "../../schemas/gen/wire.ts";
import { RegistryError } from "../base/errors.ts";
import { CLIENT_IN_FLIGHT_DEFAULT, CLIENT_IN_FLIGHT_MAX } from "../base/limits.ts";
import { parseUuid, UUID_BYTES } from "../base/uuid.ts";
import {
  FEATURE_ANNOUNCES_STREAMS,
  PROTOCOL_VERSION_MAX,
  PROTOCOL_VERSION_MIN,
} from "../wire/control.ts";
import { checkedStaleness } from "./bounded_reads.ts";
import type { HomeServers } from "./home_calls.ts";
import type { ConnectParameters } from "./types.ts";

const PROGRAM_DEFAULT = "registry-sdk";

/** Returns the hello of a client. */
export function helloOf({ options = {} }: ConnectParameters): Hello {
  return {
    versionMin: PROTOCOL_VERSION_MIN,
    versionMax: PROTOCOL_VERSION_MAX,
    features: FEATURE_ANNOUNCES_STREAMS,
    clusterId: options.clusterId === undefined
      ? new Uint8Array(UUID_BYTES)
      : parseUuid(options.clusterId, "clusterId"),
    region: options.region ?? "",
    agent: options.program ?? PROGRAM_DEFAULT,
  };
}

/** Checks parameters. @throws RegistryError `invalid_argument`. */
export function checkParameters(
  { endpoints, maxStalenessMs = 0, options = {} }: ConnectParameters,
): void {
  checkedStaleness(maxStalenessMs);
  if (endpoints.length === 0) {
    throw new RegistryError(
      "invalid_argument",
      "endpoints must contain at least one endpoint: it is empty",
      {
        field: "endpoints",
      },
    );
  }
  const inFlightMax = options.inFlightMax ?? CLIENT_IN_FLIGHT_DEFAULT;
  if (!Number.isInteger(inFlightMax) || inFlightMax < 1 || inFlightMax > CLIENT_IN_FLIGHT_MAX) {
    throw new RegistryError(
      "invalid_argument",
      `inFlightMax must be an integer in [1, ${CLIENT_IN_FLIGHT_MAX}]: ` +
        `current value is ${inFlightMax}`,
      { field: "inFlightMax" },
    );
  }
}

/**
 * Returns the parameters of a client of another region. It is another cluster; its answers are not kept,
 * as a call with `home` asks for that region's own; and it is connected before the call is sent, so that
 * the call learns why it cannot be.
 */
export function parametersElsewhere(
  { credentials: _, homes: __, options = {}, ...shared }: ConnectParameters,
  servers: HomeServers,
): ConnectParameters {
  const { clusterId: ___, cache: ____, lazy: _____, ...kept } = options;
  return { ...shared, ...servers, options: kept };
}
