/** The gRPC face: where it may listen, and what it announces. */
import { X509Certificate } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex } from "../../../src/base/bytes.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import type { Client } from "../../../src/client/types.ts";
import { type GrpcFaceSettings, startGrpcFace } from "../../../src/front/grpc_face.ts";
import { sha256 } from "../../../identity/pki/sha256.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { testWorld } from "../../support/production_world.ts";
import { codeOf } from "../../support/refusal.ts";
import { issueTlsIdentities } from "../../support/tls_identities.ts";
import { until } from "../../support/until.ts";

const SETTINGS: Omit<GrpcFaceSettings, "endpoint"> = {
  ...{ allowsInsecure: false, allowsLegacyClients: false, allowsOlderRelays: false },
  ...{ relayBackend: "memory:", relayTimes: {}, mapsLeaseMs: 60_000 },
};
/** No caller is taken in these tests. */
const OPTIONS = {
  ...{ callers: { close() {} } as never, governed: {} as never, isDevelopment: false },
  ...{ world: testWorld(), logger: SILENT_LOGGER },
};

test("plain text beyond loopback is refused unless it is asked for", async () => {
  const code = await codeOf(
    startGrpcFace({
      ...OPTIONS,
      settings: { ...SETTINGS, endpoint: { host: "192.0.2.1", port: 0 } },
      // It is refused before it is used.
      client: {} as Client,
    }),
  );
  assert.is(code, "invalid_configuration");
});

test("a host that clients cannot be told is refused", async () => {
  for (const host of ["front.example", "0.0.0.0"]) {
    const code = await codeOf(
      startGrpcFace({
        ...OPTIONS,
        settings: {
          ...SETTINGS,
          endpoint: { host: "127.0.0.1", port: 0 },
          advertised: { host, port: 50_051 },
        },
        // It is refused before it is used.
        client: {} as Client,
      }).then((face) => face.close()),
    );
    assert.is(code, "invalid_configuration", host);
  }
});

test("another certificate is announced with its hash once it is used", async () => {
  const [first, second] = await Promise.all([issueTlsIdentities(), issueTlsIdentities(2)]);
  const { client, calls } = new FakeClient({
    nodeStatus: { region: "eu" },
    "maps.registerSeeder": () => Promise.resolve(),
  });
  const pins = () =>
    calls.filter(([name]) => name === "maps.registerSeeder")
      .map(([, record]) => (record as { pin: string }).pin);
  const pinOf = ({ server }: typeof first) =>
    toHex(sha256(new Uint8Array(new X509Certificate(server.chainPem).raw)));
  const face = await startGrpcFace({
    ...OPTIONS,
    settings: {
      ...SETTINGS,
      endpoint: { host: "127.0.0.1", port: 0 },
      advertised: { host: "192.0.2.1", port: 50_051 },
    },
    client,
    tls: { certificate: first.server, clientAuthorities: [] },
  });
  try {
    await until("the announcement", () => pins().length === 1);
    face.useCertificate(second.server);
    await until("the other one", () => pins().length === 2);
    assert.equal(pins(), [pinOf(first), pinOf(second)]);
  } finally {
    await face.close();
  }
});

test.run();
