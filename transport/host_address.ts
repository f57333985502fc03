/** The addresses of peers as text. */

/**
 * Formats `192.0.2.1:4433` or `[2001:db8::1]:4433`; an IPv4-mapped IPv6 address is shown as IPv4.
 */
export function addressText(address: { hostname: string; port: number }): string {
  const host = plainHost(address.hostname);
  return host.includes(":") ? `[${host}]:${address.port}` : `${host}:${address.port}`;
}

/** Returns the address, with an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) as IPv4. */
export function plainHost(host: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host);
  return mapped?.[1] ?? host;
}

/** Returns the host of an address that {@link addressText} formatted. */
export function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}
