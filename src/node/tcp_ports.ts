/**
 * The TCP ports of a node: the number of connections that the limit of open files allows for each, and
 * their state. An address that accepts no connections makes the node not ready; rebinds are counted.
 */
import { OPS_CONNECTIONS_MAX, REFUSALS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { AcceptObserver } from "../../transport/tcp_acceptor.ts";
import { connectionsMax, descriptorLimit, tlsSessionsMax } from "./descriptor_limit.ts";
import type { Readiness } from "./readiness.ts";

/** A use of TCP, as named in metrics. */
export type TcpPort = "ops" | "tls";

/** The TCP ports of a node. */
export class TcpPorts {
  /** The number of times that an address was bound again since the start, by use. */
  readonly reopened = new Map<TcpPort, number>([["ops", 0], ["tls", 0]]);
  readonly #readiness: Readiness;
  readonly #logger: Logger;
  readonly #openFilesMax = descriptorLimit();
  /** The observers of addresses that accept nothing now. */
  readonly #failing = new Set<AcceptObserver>();

  constructor(readiness: Readiness, logger: Logger) {
    this.#readiness = readiness;
    this.#logger = logger;
  }

  /** The limit of connections of the operator's port. */
  get opsConnectionsMax(): number {
    return connectionsMax(OPS_CONNECTIONS_MAX, this.#openFilesMax);
  }

  /** Returns the limits of TLS; logs a warning if they allow fewer sessions than `sessionsMax`. */
  tlsLimits(sessionsMax: number): { readonly sessionsMax: number; readonly refusalsMax: number } {
    const openFilesMax = this.#openFilesMax;
    const room = tlsSessionsMax(sessionsMax, openFilesMax);
    if (room < sessionsMax) {
      this.#logger.warn("The limit of open files allows fewer TLS sessions than configured", {
        ...{ openFilesMax, sessionsMax, tlsSessionsMax: room },
        advice: "raise it with ulimit -n or LimitNOFILE, or lower --sessions-max",
      });
    }
    return { sessionsMax: room, refusalsMax: connectionsMax(REFUSALS_MAX, openFilesMax) };
  }

  /** Returns the observer of one address. */
  observer(port: TcpPort): AcceptObserver {
    const observer: AcceptObserver = {
      failing: (error) => {
        if (!this.#failing.has(observer)) {
          this.#logger.error("A TCP port accepts no connections: check the limit of open files", {
            port,
            error,
          });
        }
        this.#failing.add(observer);
        this.#tell();
      },
      reopened: () => {
        this.reopened.set(port, this.reopened.get(port)! + 1);
        this.#logger.warn("A TCP port that accepted no connections was opened again", { port });
      },
      accepting: () => {
        this.#failing.delete(observer);
        this.#logger.info("A TCP port accepts connections again", { port });
        this.#tell();
      },
    };
    return observer;
  }

  #tell(): void {
    this.#readiness.set("port_closed", this.#failing.size > 0);
  }
}
