/** The shared suite's adapter for TLS, on every runtime that has `node:tls`. */
import { listenTls, TlsDialer } from "../../../transport/tls.ts";
import { testWorld } from "../../support/production_world.ts";
import { TcpRelay } from "../../support/tcp_relay.ts";
import { issueTlsIdentities } from "../../support/tls_identities.ts";
import type { Adapter, Harness, HarnessOptions } from "./adapter_suite.ts";

const { monotonic, scheduler } = testWorld();
const identities = await issueTlsIdentities();

/** Both ends over TCP, with a relay between them that can be severed. */
export const tls: Adapter = {
  name: "tls",
  dialerAbortIsSeen: true,
  authenticatesPeers: true,
  async make(options: HarnessOptions = {}): Promise<Harness> {
    const listener = await listenTls({
      hosts: ["127.0.0.1"],
      port: 0,
      certificate: identities.server,
      clientAuthorities: [identities.rootPem],
      scheduler,
      monotonic,
      onError: () => {},
      ...options,
    });
    const relay = await TcpRelay.listen(listener.port);
    const dialer = new TlsDialer({
      scheduler,
      onError: () => {},
      certificate: () => identities.client,
      keepAliveMs: 100,
    });
    const trust = { kind: "ca", pem: [identities.rootPem] } as const;
    return {
      listener,
      dial: (dial) => dialer.dial({ host: "127.0.0.1", port: relay.port }, { trust, ...dial }),
      sever: () => relay.sever(),
      heal: () => relay.heal(),
      async close() {
        await dialer.close();
        await listener.close();
        await relay.close();
      },
    };
  },
};
