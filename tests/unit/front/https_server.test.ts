/** HTTPS of a front over real sockets: who a request is from, and connections that say nothing. */
import { get } from "node:https";
import { X509Certificate } from "node:crypto";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex } from "../../../src/base/bytes.ts";
import type { RegistryError } from "../../../src/base/errors.ts";
import { HTTP_HANDSHAKES_MAX } from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { type HttpListener, openHttpListener } from "../../../src/front/http_listener.ts";
import { testWorld } from "../../support/production_world.ts";
import { issueTlsIdentities } from "../../support/tls_identities.ts";
import { codeOfCall } from "../../support/refusal.ts";
import { until } from "../../support/until.ts";

const ids = await issueTlsIdentities();
const others = await issueTlsIdentities(2);

/** The sender of a request, as the front sees it. */
interface Seen {
  readonly scheme: string;
  readonly certificate: string | undefined;
}

const DEADLINE_MS = 5_000;

/** Asks with further options of TLS; returns the error's message if it fails. */
function ask(port: number, options: object = {}): Promise<Seen | string> {
  return new Promise((resolve) => {
    const request = get(
      { host: "127.0.0.1", port, path: "/", ca: [ids.rootPem], agent: false, ...options },
      (response) => {
        let text = "";
        response.on("data", (chunk: Uint8Array) => text += new TextDecoder().decode(chunk));
        response.on("end", () => resolve(JSON.parse(text) as Seen));
      },
    );
    request.on("error", ({ message }: Error) => resolve(message));
    request.setTimeout(DEADLINE_MS, () => request.destroy(new Error("It was not answered")));
  });
}

async function withListener(
  run: (port: number, listener: HttpListener) => Promise<void>,
  clientAuthorities: readonly string[] = [ids.rootPem],
): Promise<void> {
  const listener = await openHttpListener({
    host: "127.0.0.1",
    port: 0,
    handler: (_, { scheme, certificate }) =>
      Promise.resolve({
        status: 200,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ scheme, certificate: certificate && toHex(certificate) }),
      }),
    logger: SILENT_LOGGER,
    scheduler: testWorld().scheduler,
    tls: { certificate: ids.server, clientAuthorities },
  });
  try {
    await run(listener.port, listener);
  } finally {
    await listener.close();
  }
}

const credentials = ({ chainPem, keyPem }: typeof ids.client) => ({ cert: chainPem, key: keyPem });

test("a caller without a certificate is served, as one without", () =>
  withListener(async (port) => {
    assert.equal(await ask(port), { scheme: "https:" });
  }));

test("the certificate whose key a caller has proven is passed on, valid or not: the node decides", () =>
  withListener(async (port) => {
    const certificate = toHex(ids.clientLeaf);
    assert.equal(await ask(port, credentials(ids.client)), { scheme: "https:", certificate });
    const foreign = { scheme: "https:", certificate: toHex(others.clientLeaf) };
    assert.equal(await ask(port, credentials(others.client)), foreign);
  }));

test("no certificate is asked for without roots", () =>
  withListener(async (port) => {
    assert.equal(await ask(port, credentials(ids.client)), { scheme: "https:" });
  }, []));

test("a key that is not the certificate's, junk in a chain, old TLS and plain text end their connection alone", () =>
  withListener(async (port) => {
    const { keyPem } = others.client;
    assert.type(await ask(port, { cert: ids.client.chainPem, key: keyPem }), "string");
    const junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    await ask(port, { cert: ids.client.chainPem + junk, key: ids.client.keyPem });
    assert.type(await ask(port, { maxVersion: "TLSv1.2" }), "string");
    const plain = connect(
      port,
      "127.0.0.1",
      () => plain.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
    );
    plain.on("error", () => {});
    plain.resume();
    await new Promise<void>((resolve) => plain.on("close", () => resolve()));
    assert.equal(await ask(port), { scheme: "https:" });
  }));

test("connections that never begin a handshake give way to others", () =>
  withListener(async (port) => {
    const silent: Socket[] = [];
    let closed = 0;
    const open = () =>
      new Promise<void>((resolve) => {
        const socket = connect(port, "127.0.0.1", resolve);
        socket.on("error", () => {});
        socket.on("close", () => closed++);
        silent.push(socket);
      });
    // Few at once: the system drops those for which its queue has no room, and tries again after seconds.
    while (silent.length < HTTP_HANDSHAKES_MAX + 20) {
      await Promise.all(Array.from({ length: 36 }, open));
    }
    await until("the oldest have ended", () => closed >= 20, 10_000);
    // Later all of them end, because each has a deadline, too.
    assert.ok(closed < HTTP_HANDSHAKES_MAX, `${closed} have ended`);
    assert.equal(await ask(port), { scheme: "https:" });
    for (const socket of silent.slice(1)) socket.destroy();
    // What is left says nothing until the listener ends, and does not hold it up.
    connect(port, "127.0.0.1").on("error", () => {}).resume();
  }));

test("further connections have the certificate that is used then, and one that cannot be is refused", () =>
  withListener(async (port, listener) => {
    const nameOf = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
          resolve(socket.getPeerX509Certificate()!.fingerprint256);
          socket.destroy();
        });
        socket.on("error", reject);
      });
    const before = await nameOf();
    const mixed = { chainPem: others.server.chainPem, keyPem: ids.server.keyPem };
    for (const certificate of [mixed, { chainPem: "", keyPem: "" }]) {
      assert.is(codeOfCall(() => listener.useCertificate(certificate)), "invalid_argument");
    }
    assert.is(await nameOf(), before);
    listener.useCertificate(others.server);
    assert.is(await nameOf(), new X509Certificate(others.server.chainPem).fingerprint256);
    // Callers are asked for their certificates as before.
    const certificate = toHex(ids.clientLeaf);
    const { scheme } = await ask(port, { ca: others.rootPem }) as { scheme: string };
    assert.is(scheme, "https:");
    const answer = await ask(port, { ca: others.rootPem, ...credentials(ids.client) });
    assert.equal(answer, { scheme: "https:", certificate });
  }));

test("a key of another certificate is refused before anything listens", async () => {
  const certificate = { chainPem: ids.server.chainPem, keyPem: others.server.keyPem };
  const opening = openHttpListener({
    host: "127.0.0.1",
    port: 0,
    handler: () => Promise.reject(new Error("Nobody asks")),
    logger: SILENT_LOGGER,
    scheduler: testWorld().scheduler,
    tls: { certificate, clientAuthorities: [] },
  });
  const code = await opening.then(() => "ok", (error) => (error as RegistryError).code);
  assert.ok(code === "invalid_argument" || code === "invalid_configuration", code);
});

test.run();
