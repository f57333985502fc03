/**
 * The Maps service with a client in Go, as AgniStack's gateways, agents and proxies use it: before a node of
 * development, and before one with an authority.
 */
import { createHash, X509Certificate } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crsInProcess } from "../support/crs_in_process.ts";
import { type CrsProcess, startCrs, type StartedNode } from "../support/crs_process.ts";
import { goProgram } from "../support/go_program.ts";
import { testWith } from "../support/requirement.ts";
import { inTemporaryFolder } from "../support/temporary_folder.ts";
import { issueTlsIdentities } from "../support/tls_identities.ts";
import { until } from "../support/until.ts";

const goTest = testWith(await goProgram("./maps"));

/** Part of the document of a front. */
interface Served {
  readonly grpc: { readonly port: number };
  readonly http?: { readonly port: number };
}

/** Starts a node with a front beside it. */
async function startNode(folder: string, ...flags: string[]) {
  const { process, node } = await startCrs(folder, {
    flags: ["--partitions", "8", "--grpc", "127.0.0.1:0", ...flags],
  });
  assert.is(node.error, undefined, JSON.stringify(node.error));
  const { grpc, http } = node as StartedNode & Served;
  return { process, address: `127.0.0.1:${grpc.port}`, http: http?.port };
}

/** Ends a process and wants it to succeed. */
async function end(process: CrsProcess): Promise<void> {
  process.kill("SIGTERM");
  const { code, stderr } = await process.ended();
  assert.is(code, 0, stderr);
}

/** Returns whether all checks of a client held, and what it printed. */
async function ran(client: string, ...args: string[]) {
  const { success, stdout, stderr } = await new Deno.Command(client, { args, stdin: "null" })
    .output();
  const output = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  return { success, output };
}

async function held(client: string, ...args: string[]): Promise<void> {
  const { success, output } = await ran(client, ...args);
  assert.ok(success, `${args.join(" ")}:\n${output}`);
}

/** Returns the document of a command that must succeed. */
async function done(...args: string[]): Promise<Record<string, string>> {
  const { code, stdout, stderr } = await crsInProcess([...args, "--json"]);
  assert.is(code, 0, `crs ${args.join(" ")}: ${stderr}${stdout}`);
  return JSON.parse(stdout);
}

/** Returns the seeders that a front tells, once it has announced itself. */
async function seeders(url: string, caPem?: string): Promise<Record<string, string>[]> {
  const client = Deno.createHttpClient(caPem === undefined ? {} : { caCerts: [caPem] });
  let found: Record<string, string>[] = [];
  try {
    await until("the front is a seeder", async () => {
      const answer = await fetch(url, { client });
      found = await answer.json();
      return found.length > 0;
    });
  } finally {
    client.close();
  }
  return found;
}

goTest(
  "gateways, agents and proxies find each other, and the front among the seeders",
  (client) =>
    inTemporaryFolder(async (folder) => {
      const { process, address, http } = await startNode(folder, "--http", "127.0.0.1:0");
      try {
        await held(client, address, "session", "refusals");
        const [seeder] = await seeders(`http://127.0.0.1:${http}/seeder?region=global`);
        assert.equal([`${seeder!.SeedIP}:${seeder!.SeedPort}`, seeder!.VerifiableHash], [
          address,
          "",
        ]);
      } finally {
        await end(process);
      }
    }),
);

/** Starts a node with a new authority, and with a front that has a certificate which is never rotated. */
async function startCertified(folder: string, ...flags: string[]) {
  const realm = ["--trust-domain", "registry.example", "--region", "eu-1"];
  await done("identity", "init", ...realm, "--out", `${folder}/pki`);
  const { server, rootPem } = await issueTlsIdentities();
  Deno.writeTextFileSync(`${folder}/front.pem`, server.chainPem);
  Deno.writeTextFileSync(`${folder}/front.key`, server.keyPem, { mode: 0o600 });
  const pin = createHash("sha256").update(new X509Certificate(server.chainPem).raw).digest("hex");
  const { process, address, http } = await startNode(
    `${folder}/data`,
    ...["--http", "127.0.0.1:0"],
    ...["--found", "--authority", `${folder}/pki/authority`, "--region", "eu-1"],
    ...["--tls-cert-path", `${folder}/front.pem`, "--tls-key-path", `${folder}/front.key`],
    ...flags,
  );
  return { process, address, http, pin, rootPem };
}

goTest(
  "clients pin the certificate, and without an identity nothing is permitted",
  (client) =>
    inTemporaryFolder(async (folder) => {
      const { process, address, pin } = await startCertified(folder);
      try {
        await held(client, address, "-pin", pin, "unauthorized");
        await held(client, address, "-pin", "00".repeat(32), "unreachable");
        await held(client, address, "unreachable");
      } finally {
        await end(process);
      }
    }),
);

const folder = await Deno.makeTempDir();
let legacy: Awaited<ReturnType<typeof startCertified>> | undefined;
test.after(async () => {
  legacy?.process.kill("SIGTERM");
  await legacy?.process.ended();
  await Deno.remove(folder, { recursive: true });
});

goTest("--legacy-clients serves clients without an identity", async (client) => {
  legacy = await startCertified(folder, "--legacy-clients");
  await held(client, legacy.address, "-pin", legacy.pin, "session", "refusals");
  const { http, pin, rootPem } = legacy;
  const [seeder] = await seeders(`https://127.0.0.1:${http}/seeder?region=eu-1`, rootPem);
  assert.equal([seeder!.VerifiableHash, seeder!.Region], [pin, "eu-1"]);
});

goTest(
  "what an identity has registered is not theirs, whatever credential they name",
  async (client) => {
    const tls = [legacy!.address, "-pin", legacy!.pin];
    const administrator = ["--identity", `${folder}/pki/administrator`, "--data", `${folder}/data`];
    await done("identity", "issue", ...administrator);
    const { token, subject } = await done("identity", "join-token", "gateway", ...administrator);
    const gateway = ["--identity", `${folder}/gateway`, "--data", `${folder}/data`];
    await done("identity", "issue", "--subject", subject!, "--token", token!, ...gateway);
    const [certificate, key] = ["certificate.pem", "key.pem"].map((name) =>
      `${folder}/gateway/${name}`
    );
    await held(client, ...tls, "-cert", certificate!, "-key", key!, "register");
    const { success, output } = await ran(client, ...tls, "register");
    assert.not(success, output);
    assert.match(output, /another identity/);
  },
);

test.run();
