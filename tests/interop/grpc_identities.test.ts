/** The gRPC face before a node with an authority: TLS, certificates, capabilities, and callers without. */
import { test } from "uvu";
import { AeroRegistry } from "../../schemas/proto/gen/aeroarc/registry/v1/registry_pb.ts";
import { goProgram } from "../support/go_program.ts";
import { descriptorsOf, pythonWithGrpc } from "../support/grpc_clients.ts";
import { done, held, withGrpcNode } from "../support/grpc_nodes.ts";
import { testWith } from "../support/requirement.ts";
import { inTemporaryFolder } from "../support/temporary_folder.ts";
import { issueTlsIdentities } from "../support/tls_identities.ts";
import { until } from "../support/until.ts";

const goTest = testWith(await goProgram("./relay"));
const pythonTest = testWith(await pythonWithGrpc());

/** Creates a server's certificate; returns the flags of a front with it. */
async function prepareTls(folder: string): Promise<string[]> {
  const { server, rootPem } = await issueTlsIdentities();
  const [certificate, key] = [`${folder}/front.pem`, `${folder}/front.key`];
  Deno.writeTextFileSync(`${folder}/root.pem`, rootPem);
  Deno.writeTextFileSync(certificate, server.chainPem);
  Deno.writeTextFileSync(key, server.keyPem, { mode: 0o600 });
  return ["--tls-cert-path", certificate, "--tls-key-path", key];
}

/** Creates an authority; returns the flags of a node with it. */
async function prepareAuthority(folder: string): Promise<string[]> {
  const realm = ["--trust-domain", "registry.example", "--region", "eu-1"];
  await done("identity", "init", ...realm, "--out", `${folder}/pki`);
  return ["--authority", `${folder}/pki/authority`, "--region", "eu-1", "--found"];
}

goTest(
  "grpc-go: TLS with a relay's certificate, until it is banned",
  (client) =>
    inTemporaryFolder(async (folder) => {
      const flags = [...await prepareAuthority(folder), ...await prepareTls(folder)];
      await withGrpcNode(folder, flags, async ({ address }) => {
        const administrator = [
          "--identity",
          `${folder}/pki/administrator`,
          "--data",
          `${folder}/data`,
        ];
        await done("identity", "issue", ...administrator);
        const made = await done("identity", "join-token", "gateway", ...administrator);
        const { subject = "", token = "" } = made;
        const relay = ["--identity", `${folder}/relay`, "--data", `${folder}/data`];
        await done("identity", "issue", "--subject", subject, "--token", token, ...relay);
        const secure = [address, "-ca", `${folder}/root.pem`];
        const key = ["-key", `${folder}/relay/key.pem`];
        const certified = [...secure, "-cert", `${folder}/relay/certificate.pem`, ...key];
        await held(client, ...certified, "lifecycle", "refusals", "health", "reflection");
        await held(client, ...secure, "refused", "health");
        await done("identity", "ban", "subject", subject, ...administrator);
        const end = () => held(client, ...certified, "refused").then(() => true, () => false);
        await until("the ban ends it", end, 10_000);
      });
    }),
);

goTest(
  "grpc-go: TLS 1.2, another root, and plain text do not reach a front with TLS",
  (client) =>
    inTemporaryFolder(async (folder) => {
      await withGrpcNode(folder, await prepareTls(folder), async ({ address }) => {
        const secure = [address, "-ca", `${folder}/root.pem`];
        await held(client, ...secure, "lifecycle");
        await held(client, ...secure, "-tls-max", "1.2", "unreachable");
        const { rootPem } = await issueTlsIdentities(2);
        Deno.writeTextFileSync(`${folder}/other.pem`, rootPem);
        await held(client, address, "-ca", `${folder}/other.pem`, "unreachable");
        await held(client, address, "unreachable");
      });
    }),
);

goTest(
  "grpc-go: --legacy-clients serves callers without an identity",
  (client) =>
    inTemporaryFolder(async (folder) => {
      const flags = [...await prepareAuthority(folder), "--legacy-clients"];
      await withGrpcNode(folder, flags, ({ address }) => held(client, address, "lifecycle"));
    }),
);

pythonTest(
  "grpcio of Python: the same relay over TLS",
  (python) =>
    inTemporaryFolder(async (folder) => {
      await withGrpcNode(folder, await prepareTls(folder), async ({ address }) => {
        const descriptors = `${folder}/registry.binpb`;
        Deno.writeFileSync(descriptors, descriptorsOf(AeroRegistry));
        const script = new URL("./python/relay.py", import.meta.url).pathname;
        await held(python, script, address, descriptors, `${folder}/root.pem`);
      });
    }),
);

test.run();
