/** The shared suite over every adapter: memory, raw QUIC, WebTransport and TLS. */
import { test } from "uvu";
import type { Dialer, OnError } from "../../../transport/transport.ts";
import { MemoryNetwork } from "../../../transport/memory/network.ts";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { listenQuic } from "../../../transport/quic_listener.ts";
import { WebTransportDialer } from "../../../transport/webtransport_dialer.ts";
import { issueTestCertificate } from "../../support/certificate.ts";
import { testWorld } from "../../support/production_world.ts";
import { UdpRelay } from "../../support/udp_relay.ts";
import type { Adapter, Harness, HarnessOptions } from "./adapter_suite.ts";
import { adapterSuite } from "./adapter_suite.ts";
import { tls } from "./tls_adapter.ts";

const certificate = await issueTestCertificate();
const { scheduler } = testWorld();
const ignoreErrors: OnError = () => {};

const memory: Adapter = {
  name: "memory",
  dialerAbortIsSeen: true,
  make(options: HarnessOptions = {}): Harness {
    const network = new MemoryNetwork(testWorld(), { delayMsMin: 0, delayMsMax: 2 });
    const listener = network.listen({ host: "server", port: 0, ...options });
    const dialer = network.dialer("client", options);
    const trust = { kind: "pins", sha256: [] } as const;
    return {
      listener,
      dial: (dial) => dialer.dial({ host: "server", port: listener.port }, { trust, ...dial }),
      sever() {
        network.cut("client", "server");
        network.cut("server", "client");
      },
      heal() {
        network.heal("client", "server");
        network.heal("server", "client");
      },
      async close() {
        await dialer.close();
        await listener.close();
      },
    };
  },
};

function overUdp(options: HarnessOptions, dialer: Dialer): Harness {
  const listener = listenQuic({
    hosts: ["127.0.0.1"],
    port: 0,
    certificate,
    scheduler,
    onError: ignoreErrors,
    ...options,
  });
  const relay = new UdpRelay(listener.port);
  const trust = { kind: "pins", sha256: [certificate.sha256] } as const;
  return {
    listener,
    dial: (dial) => dialer.dial({ host: "127.0.0.1", port: relay.port }, { trust, ...dial }),
    sever: () => relay.sever(),
    heal: () => relay.heal(),
    delay: (ms) => {
      relay.delayMs = ms;
    },
    async close() {
      await dialer.close();
      await listener.close();
      relay.close();
    },
  };
}

const quic: Adapter = {
  name: "quic",
  dialerAbortIsSeen: true,
  make: (options: HarnessOptions = {}) =>
    overUdp(options, new QuicDialer({ scheduler, onError: ignoreErrors, keepAliveMs: 100 })),
};

const webtransport: Adapter = {
  name: "webtransport",
  dialerAbortIsSeen: false,
  make: (options: HarnessOptions = {}) =>
    overUdp(options, new WebTransportDialer({ scheduler, onError: ignoreErrors })),
};

for (const adapter of [memory, quic, webtransport, tls]) adapterSuite(adapter);

test.run();
