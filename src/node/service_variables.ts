/**
 * Variables that Kubernetes sets in every pod for a service, as for Docker links. For a service named
 * `crs` they are `CRS_PORT=tcp://10.0.0.1:4443`, `CRS_SERVICE_HOST`, `CRS_PORT_4443_UDP_ADDR` and
 * others; for one named `crs-ops`, `CRS_OPS_PORT`. They are distinguished from settings by their
 * names, or, if a setting has the same name, by their value, which no setting accepts.
 * Source: Kubernetes, "Discovering services: environment variables".
 */

const NAMES = [
  /^CRS_(?:[A-Z0-9_]+_)?SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)$/,
  /^CRS_(?:[A-Z0-9_]+_)?PORT_\d{1,5}_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/,
];
const LINK_NAME = /^CRS_(?:[A-Z0-9_]+_)?PORT$/;
const LINK_VALUE = /^(?:tcp|udp|sctp):\/\//;

/** Reports whether a variable describes a service and is no setting. */
export function isServiceVariable(name: string, value: string): boolean {
  return NAMES.some((pattern) => pattern.test(name)) ||
    (LINK_NAME.test(name) && LINK_VALUE.test(value));
}

/** Returns the names of all variables that describe a service, sorted. */
export function serviceVariables(
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  return Object.entries(environment)
    .flatMap(([name, value]) => value !== undefined && isServiceVariable(name, value) ? [name] : [])
    .sort();
}
