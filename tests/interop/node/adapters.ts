/** The shared suite over the transports that run on Node: TLS, and WebTransport by a library. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { RegistryError } from "../../../src/base/errors.ts";
import { NodeWebTransportDialer } from "../../../transport/node/webtransport_dialer.ts";
import { listenNodeWebTransport } from "../../../transport/node/webtransport_listener.ts";
import { issueTestCertificate } from "../../support/certificate.ts";
import { testWorld } from "../../support/production_world.ts";
import { TcpRelay } from "../../support/tcp_relay.ts";
import { within } from "../../support/until.ts";
import type { Adapter, Harness, HarnessOptions } from "../../unit/transport/adapter_suite.ts";
import { adapterSuite } from "../../unit/transport/adapter_suite.ts";
import { tls } from "../../unit/transport/tls_adapter.ts";

const { scheduler } = testWorld();
const certificate = await issueTestCertificate();
const webtransport: Adapter = {
  name: "webtransport",
  dialerAbortIsSeen: true,
  async make(options: HarnessOptions = {}): Promise<Harness> {
    const listener = await listenNodeWebTransport({
      hosts: ["127.0.0.1"],
      port: 0,
      certificate,
      scheduler,
      onError: () => {},
      ...options,
    });
    const relay = await TcpRelay.listen(listener.port);
    const dialer = new NodeWebTransportDialer({
      scheduler,
      onError: () => {},
      keepAliveMs: 100,
      ...options,
    });
    const trust = { kind: "pins", sha256: [certificate.sha256] } as const;
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

for (const adapter of [tls, webtransport]) adapterSuite(adapter);
test("webtransport: the first stream that a server opens carries a large write whole", async () => {
  const harness = await webtransport.make();
  try {
    const [near, far] = await Promise.all([harness.dial(), harness.listener.accept()]);
    const [sending, receiving] = await within(
      "a stream on both sides",
      Promise.all([far!.open("bulk"), near.accept()]),
    );
    const length = 3 * 1024 * 1024;
    void sending.write(new Uint8Array(length).fill(7));
    let received = 0;
    while (received < length) {
      const part = await within("more bytes", receiving!.read(new Uint8Array(65_536)));
      received += part!.length;
    }
    assert.is(received, length);
  } finally {
    await harness.close();
  }
});

test("webtransport: a dial says whether a certificate or the connection failed", async () => {
  const harness = await webtransport.make();
  const trust = { kind: "pins", sha256: [new Uint8Array(32).fill(1)] } as const;
  const codeOf = (dial: Promise<unknown>) =>
    dial.then(() => "no error", (error: RegistryError) => error.code);
  assert.is(await codeOf(harness.dial({ trust })), "tls_failed");
  await harness.close();
  assert.is(await codeOf(harness.dial()), "shutting_down");
  const dialer = new NodeWebTransportDialer({ scheduler, onError: () => {} });
  const nobody = dialer.dial({ host: "127.0.0.1", port: harness.listener.port }, { trust });
  assert.is(await codeOf(nobody), "connection_lost");
  await dialer.close();
});

test.run();
