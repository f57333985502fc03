/** The ports of a node for clients and other nodes, and the addresses by which they are dialed. */
import type { MonotonicClock, Scheduler } from "../base/world.ts";
import { bindAddress, dialedHosts } from "../../identity/trust/listen_rule.ts";
import type { NodeAddress } from "../../identity/files/node_file.ts";
import { listenQuic } from "../../transport/quic_listener.ts";
import { listenTls } from "../../transport/tls.ts";
import type { Endpoint, Listener } from "../../transport/transport.ts";
import type { NodeConfig } from "./config.ts";
import type { TcpPorts } from "./tcp_ports.ts";

/** The options of a node's ports. */
export interface PortsOptions {
  readonly config: NodeConfig;
  readonly certificate: { readonly chainPem: string; readonly keyPem: string };
  readonly monotonic: MonotonicClock;
  readonly scheduler: Scheduler;
  readonly onError: (stage: string, error: unknown) => void;
  readonly tcpPorts: TcpPorts;
}

/** Opens the port of QUIC and WebTransport. */
export function listenUdp(options: PortsOptions): Listener {
  const { config, monotonic } = options;
  return listenQuic({
    ...sharedOptions(options),
    port: config.port,
    monotonic,
    webtransport: config.webtransport === "on",
  });
}

/** Opens the port of TLS. */
export async function listenTcp(
  options: PortsOptions & { readonly clientAuthorities: TlsAuthorities },
): Promise<Listener> {
  const { config, clientAuthorities, monotonic, tcpPorts } = options;
  const shared = sharedOptions(options);
  return await listenTls({
    ...shared,
    port: config.tlsPort,
    clientAuthorities,
    limits: { ...shared.limits, ...tcpPorts.tlsLimits(config.sessionsMax) },
    monotonic,
    observe: () => tcpPorts.observer("tls"),
  });
}

type TlsAuthorities = Parameters<typeof listenTls>[0]["clientAuthorities"];

function sharedOptions({ config, certificate, scheduler, onError }: PortsOptions) {
  const { host, sessionsMax, sessionsPerAddressMax } = config;
  return {
    hosts: host === "localhost" ? ["127.0.0.1", "::1"] : [bindAddress(host)],
    ...{ certificate, scheduler, onError },
    limits: { sessionsMax, sessionsPerAddressMax },
  };
}

/** Returns the addresses by which others dial the ports that are bound to `udp` and `tcp`. */
export function dialedAddresses(
  config: NodeConfig,
  { udp, tcp }: { readonly udp: readonly Endpoint[]; readonly tcp: readonly Endpoint[] },
): NodeAddress[] {
  const { advertisePort, advertiseTlsPort, webtransport } = config;
  const transports = webtransport === "on" ? ["quic", "webtransport"] : ["quic"];
  return [
    ...dialedOf(config, udp, advertisePort).flatMap(({ host, port }) =>
      transports.map((transport) => ({ transport, host, port }))
    ),
    ...dialedOf(config, tcp, advertiseTlsPort)
      .map((address) => ({ transport: "tls", ...address })),
  ];
}

/** Returns the hosts and ports by which clients dial a bound port; `forwarded` 0: the same port. */
function dialedOf(
  { host, advertise }: NodeConfig,
  bound: readonly Endpoint[],
  forwarded: number,
): readonly Endpoint[] {
  const [first] = bound;
  const dialed = advertise === "" || first === undefined
    ? bound
    : dialedHosts(host, advertise).map((name) => ({ host: name, port: first.port }));
  return forwarded === 0 ? dialed : dialed.map((one) => ({ host: one.host, port: forwarded }));
}
