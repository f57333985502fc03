/** The gRPC face before a node with an authority: TLS, certificates, capabilities, and callers without. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { AeroRegistry } from "../../schemas/proto/gen/aeroarc/registry/v1/registry_pb.ts";
import { goProgram } from "../support/go_program.ts";
import { descriptorsOf, pythonWithGrpc } from "../support/grpc_clients.ts";
import { done, held, withGrpcNode } from "../support/grpc_nodes.ts";
import { GRPCURL, testWith } from "../support/requirement.ts";
import { inTemporaryFolder } from "../support/temporary_folder.ts";
import { issueTlsIdentities } from "../support/tls_identities.ts";
import { until } from "../support/until.ts";

const goTest = testWith(await goProgram("./relay"));
const grpcurlTest = testWith(GRPCURL);
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

/** Makes a call of crs.v1.Registry by grpcurl; returns its output. */
async function curled(
  grpcurl: string,
  flags: readonly string[],
  [address, method, request]: readonly [string, string, unknown],
): Promise<{ readonly success: boolean; readonly text: string }> {
  const call = ["-d", JSON.stringify(request), address, `crs.v1.Registry/${method}`];
  const args = ["-max-time", "20", ...flags, ...call];
  const output = await new Deno.Command(grpcurl, { args, stdin: "null" }).output();
  const text = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { success: output.success, text: text.join("") };
}

grpcurlTest(
  "grpcurl: callers of crs.v1.Registry have the rights of their certificate or capability",
  (grpcurl) =>
    inTemporaryFolder(async (folder) => {
      const flags = [...await prepareAuthority(folder), ...await prepareTls(folder)];
      await withGrpcNode(folder, flags, async ({ address }) => {
        const data = ["--data", `${folder}/data`];
        const administrator = ["--identity", `${folder}/pki/administrator`, ...data];
        await done("identity", "issue", ...administrator);
        const granted = ["--domain", "a.example", ...administrator];
        const { subject = "", token = "" } = await done(
          ...["identity", "join-token", "agent"],
          ...granted,
        );
        const agent = ["--identity", `${folder}/agent`, ...data];
        await done("identity", "issue", "--subject", subject, "--token", token, ...agent);
        const secure = ["-cacert", `${folder}/root.pem`];
        const certificate = ["-cert", `${folder}/agent/certificate.pem`];
        const certified = [...secure, ...certificate, "-key", `${folder}/agent/key.pem`];

        const register = (domain: string) =>
          [address, "RegisterAgent", { agent: { domain } }] as const;
        const own = await curled(grpcurl, certified, register("a.example"));
        assert.ok(own.success && own.text.includes(subject.split("/").at(-1)!), own.text);
        const foreign = await curled(grpcurl, certified, register("b.example"));
        assert.match(foreign.text, /Code: PermissionDenied/);
        const nobody = await curled(grpcurl, secure, register("a.example"));
        assert.match(nobody.text, /Code: (Unauthenticated|PermissionDenied)/);
        const audit = await curled(grpcurl, certified, [address, "ReadAudit", {}]);
        assert.match(audit.text, /Code: PermissionDenied/);

        // A capability for one method: the caveat on the path is checked by the front.
        const scope = ["--scope", "registry:propose", "--path", "/crs.v1.Registry/Propose"];
        const minted = await done(
          ...["identity", "capability", "mint"],
          ...scope,
          ...["--ttl", "10m", ...administrator],
        );
        const bearer = ["-H", `authorization: Bearer ${minted["capability"]}`];
        const proposed = await curled(grpcurl, [...secure, ...bearer], [address, "Propose", {}]);
        assert.match(proposed.text, /Code: InvalidArgument/, "it is permitted, but is no payload");
        const status = [address, "GetGovernanceStatus", {}] as const;
        const other = await curled(grpcurl, [...secure, ...bearer], status);
        assert.match(other.text, /Code: PermissionDenied/);
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
