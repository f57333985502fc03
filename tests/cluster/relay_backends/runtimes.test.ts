/**
 * The backends as a program uses them, on Deno and on Node: at a Redis with TLS whose certificate is
 * trusted or not, at etcd, and at a fake of Consul. The programs end by themselves once they close the
 * registry.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BackendServer } from "../../support/backend_server.ts";
import { issueTestCertificate } from "../../support/certificate.ts";
import { etcdPlan } from "../../support/etcd_server.ts";
import { FakeConsul } from "../../support/fake_consul.ts";
import { modernNode } from "../../support/modern_node.ts";
import { redisPlan } from "../../support/redis_server.ts";
import { allOf, ETCD, REDIS_SERVER, testWith } from "../../support/requirement.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";
import { inTemporaryFolder } from "../../support/temporary_folder.ts";
import { within } from "../../support/until.ts";

const node = await modernNode();
const SESSION = new URL("./session.ts", import.meta.url).pathname;

/** Returns what the program prints on each runtime. */
async function printed(url: string, env: Readonly<Record<string, string>> = {}): Promise<string[]> {
  const commands = [[Deno.execPath(), "run", "-A"], [node.found!, "--no-warnings"]] as const;
  const outputs: string[] = [];
  for (const [command, ...args] of commands) {
    const output = new Deno.Command(command, {
      args: [...args, SESSION, url],
      env,
      stdin: "null",
      stderr: "inherit",
    }).output();
    const { stdout } = await within(`${command} ends`, output, 20_000);
    outputs.push(new TextDecoder().decode(stdout).trim());
  }
  return outputs;
}

/** Calls `use` with a folder that has `server.pem` and `server.key`, for `localhost`, and `ca.pem`. */
async function withTestCertificate(use: (folder: string) => Promise<void>): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const { chainPem, keyPem, caPem } = await issueTestCertificate();
    const files = { "server.pem": chainPem, "server.key": keyPem, "ca.pem": caPem };
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    await use(folder);
  });
}

testWith(allOf(REDIS_SERVER, node))(
  "a program reaches a Redis with TLS if it trusts the certificate, on both runtimes",
  (program) =>
    withTestCertificate(async (folder) => {
      const settings = [
        ...["--tls-cert-file", `${folder}/server.pem`, "--tls-key-file", `${folder}/server.key`],
        ...["--tls-ca-cert-file", `${folder}/ca.pem`, "--tls-auth-clients", "no"],
      ];
      await BackendServer.with(redisPlan(program, settings, "tls"), async ({ port }) => {
        const url = `rediss://localhost:${port}`;
        const trusting = { NODE_EXTRA_CA_CERTS: `${folder}/ca.pem` };
        assert.equal(await printed(url, trusting), ["r1", "r1"]);
        assert.equal(await printed(url), ["tls_failed", "tls_failed"]);
      });
    }),
);

testWith(allOf(ETCD, node))(
  "a program reaches an etcd with TLS if it trusts the certificate, on both runtimes",
  (program) =>
    withTestCertificate(async (folder) => {
      const settings = [
        ...["--cert-file", `${folder}/server.pem`, "--key-file", `${folder}/server.key`],
      ];
      await BackendServer.with(etcdPlan(program, settings, "https"), async ({ port }) => {
        const url = `etcds://localhost:${port}`;
        const trusting = {
          DENO_CERT: `${folder}/ca.pem`,
          NODE_EXTRA_CA_CERTS: `${folder}/ca.pem`,
        };
        assert.equal(await printed(url, trusting), ["r1", "r1"]);
        assert.equal(await printed(url), ["connection_lost", "connection_lost"]);
      });
    }),
);

testWith(allOf(ETCD, node))(
  "a program reaches etcd on both runtimes",
  (program) =>
    BackendServer.with(etcdPlan(program), async ({ port }) => {
      assert.equal(await printed(`etcd://127.0.0.1:${port}`), ["r1", "r1"]);
    }),
);

testWith(node)("a program reaches a fake of Consul on both runtimes", async () => {
  const consul = new FakeConsul(new SteppedWorld());
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => consul.answer(request),
  );
  try {
    assert.equal(await printed(`consul://127.0.0.1:${server.addr.port}`), ["r1", "r1"]);
  } finally {
    await server.shutdown();
  }
});

test.run();
