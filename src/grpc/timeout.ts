/**
 * The header `grpc-timeout`: at most eight digits and a unit.
 *
 * Source: gRPC over HTTP/2 (doc/PROTOCOL-HTTP2.md), Timeout.
 */
import { RegistryError } from "../base/errors.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Returns the time that a caller gives to its call, ms, possibly 0; `undefined` if it gives any.
 *
 * @throws RegistryError `malformed`.
 */
export function readTimeout(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const [, digits, unit] = /^([0-9]{1,8})([HMSmun])$/.exec(header) ?? [];
  if (digits === undefined || unit === undefined) {
    throw new RegistryError(
      "malformed",
      `grpc-timeout must be one to eight digits and a unit: found ${
        JSON.stringify(header.slice(0, 16))
      }`,
      { field: "grpc-timeout" },
    );
  }
  return Number(digits) * UNIT_MS[unit]!;
}
