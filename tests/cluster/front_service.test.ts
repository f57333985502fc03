/**
 * The front beside a node, as `crs start --http` runs it: started again when it is killed, ended with
 * its node, and in front of a node with an authority without rights of its own.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readCapability } from "../../identity/capabilities/capability.ts";
import { crs, CrsProcess, documentIn, startCrs, type StartedNode } from "../support/crs_process.ts";
import { inTemporaryFolder } from "../support/temporary_folder.ts";
import { issueTlsIdentities } from "../support/tls_identities.ts";
import { until } from "../support/until.ts";

/** The document of `crs start --http`. */
type StartedBoth = StartedNode & { readonly http: { readonly port: number } };

/** A node with its front. */
interface Both {
  readonly process: CrsProcess;
  readonly node: StartedBoth;
  readonly url: string;
}

async function startBoth(folder: string, ...flags: string[]): Promise<Both> {
  const started = await startCrs(folder, {
    flags: ["--partitions", "8", "--http", "127.0.0.1:0", ...flags],
  });
  const node = started.node as StartedBoth;
  return { process: started.process, node, url: `http://127.0.0.1:${node.http.port}` };
}

/** Returns the ids of the processes that a process has started. */
function childrenOf({ child: { pid } }: CrsProcess): number[] {
  return [...Deno.readDirSync(`/proc/${pid}/task`)].flatMap(({ name }) =>
    Deno.readTextFileSync(`/proc/${pid}/task/${name}/children`).split(" ").filter(Boolean)
      .map(Number)
  );
}

async function statusOf(url: string): Promise<number> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
}

/** Returns the first line that a successful command prints. */
async function printed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await crs(args);
  assert.is(code, 0, stderr);
  return stdout.split("\n")[0]!;
}

/** Asserts that callers with a capability are served as far as it goes, and what a front must be. */
async function takesCapabilities(administrator: string, data: string, url: string): Promise<void> {
  const identity = ["--identity", administrator, "--data", data];
  await printed("identity", "issue", ...identity);
  const scope = ["--scope", "records:read", "--path", "/v1/agents"];
  const capability = await printed("identity", "capability", "mint", ...scope, ...identity);
  const headers = {
    authorization: `Bearer ${capability}`,
    "content-type": "application/json",
  };
  const ask = async (method: string, path: string, body?: string) => {
    const sent = body === undefined ? {} : { body };
    const response = await fetch(`${url}${path}`, { method, headers, ...sent });
    await response.body?.cancel();
    return response.status;
  };
  assert.is(await ask("GET", "/v1/agents"), 200);
  assert.is(await ask("GET", "/v1/gateways"), 403, "the front checks the path");
  // One with another signature, where everybody may read.
  const minted = ["identity", "capability", "mint", "--scope", "registry:read", ...identity];
  const valid = await printed(...minted);
  const place = valid.length - 10;
  const changed = valid[place] === "A" ? "B" : "A";
  const forged = valid.slice(0, place) + changed + valid.slice(place + 1);
  for (const [token, status] of [[undefined, 200], [valid, 200], [forged, 401]] as const) {
    const response = await fetch(`${url}/v1/registry/version`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    assert.is(response.status, status, await response.text());
  }
  assert.is(
    await ask("POST", "/v1/agents", `{"domain": "a.example"}`),
    403,
    "the node the scope",
  );
  const form = readCapability(capability);
  assert.ok(typeof form !== "string", "It is a capability");
  const id = form.capabilityId;
  await printed("identity", "ban", "capability", id, ...identity);
  await until("the ban ends it", async () => await ask("GET", "/v1/agents") === 401, 1_000);
  const { code, stderr } = await crs(["front", "--http", "127.0.0.1:0", ...identity]);
  assert.is(code, 2);
  assert.match(stderr, /must be of the role front/);
}

/** Asserts that HTTPS serves callers by their certificates, and those without one as anonymous. */
async function servesCertificates(folder: string, data: string): Promise<void> {
  const administrator = ["--identity", `${folder}/pki/administrator`, "--data", data];
  const made = await crs(["identity", "join-token", "proxy", "--json", ...administrator]);
  assert.is(made.code, 0, made.stderr);
  const { token, subject, pins } = JSON.parse(made.stdout);
  const proxy = ["--identity", `${folder}/proxy`, "--subject", subject, "--data", data];
  const issue = ["identity", "issue", ...proxy, "--pin", pins[0], "--token-file", "-"];
  const issued = await crs(issue, { input: token });
  assert.is(issued.code, 0, issued.stderr);

  const { server, rootPem } = await issueTlsIdentities();
  Deno.writeTextFileSync(`${folder}/front.pem`, server.chainPem);
  Deno.writeTextFileSync(`${folder}/front.key`, server.keyPem, { mode: 0o600 });
  const front = new CrsProcess([
    ...["front", "--http", "127.0.0.1:0", "--data", data, "--identity", `${data}/identity/front`],
    ...["--tls-certificate", `${folder}/front.pem`, "--tls-key", `${folder}/front.key`, "--json"],
  ]);
  try {
    const { http } = await front.printed("a document", documentIn<Pick<StartedBoth, "http">>);
    const ask = async (credentials: { readonly cert: string; readonly key: string } | object) => {
      const client = Deno.createHttpClient({ caCerts: [rootPem], ...credentials });
      const response = await fetch(`https://127.0.0.1:${http.port}/v1/agents`, { client });
      await response.body?.cancel();
      client.close();
      return response.status;
    };
    const cert = Deno.readTextFileSync(`${folder}/proxy/certificate.pem`);
    const key = Deno.readTextFileSync(`${folder}/proxy/key.pem`);
    assert.is(await ask({ cert, key }), 200, "as a proxy");
    assert.is(await ask({}), 403, "anonymously");
  } finally {
    front.kill("SIGTERM");
    await front.ended();
  }
}

test("crs start --http: a front that is killed is started again, counted, and ends with the node", () =>
  inTemporaryFolder(async (folder) => {
    const { process, node, url } = await startBoth(folder);
    try {
      assert.is(await statusOf(`${url}/v1/status`), 200);
      assert.is(await statusOf(`${url}/v1/agents`), 200, "the development identity answers");
      const [front] = childrenOf(process);
      Deno.kill(front!, "SIGKILL");
      // At the same address.
      await until(
        "the front serves again",
        async () => await statusOf(`${url}/v1/status`) === 200,
        20_000,
      );
      const metrics = await (await fetch(`http://127.0.0.1:${node.ops.port}/metrics`)).text();
      assert.match(metrics, /service_restarts_total\{service="front"\} 1/);
      const [again] = childrenOf(process);
      assert.not.equal(again, front);
      process.kill("SIGTERM");
      const { code, stderr } = await process.ended();
      assert.is(code, 0, stderr);
      assert.is(await statusOf(`${url}/healthz`), 0);
    } finally {
      process.kill("SIGKILL");
      await process.ended();
    }
  }));

test("a front ends when its node is killed", () =>
  inTemporaryFolder(async (folder) => {
    const { process, url } = await startBoth(folder);
    process.kill("SIGKILL");
    await process.ended();
    await until("the front has ended", async () => await statusOf(`${url}/healthz`) === 0, 20_000);
  }));

test("crs start --http fails at once if its front cannot listen", () =>
  inTemporaryFolder(async (folder) => {
    const ports = ["--port", "0", "--ops-port", "0", "--peer-port", "0", "--data", folder];
    const { code, stderr } = await crs(["start", ...ports, "--http", "0.0.0.0:0"]);
    assert.is(code, 2, stderr);
    assert.match(stderr, /--insecure-http/);
  }));

/** Runs a node with an authority, and its front. */
function withAuthority(
  anonymous: "governed" | "read",
  run: (both: Both, folder: string) => Promise<void>,
): Promise<void> {
  return inTemporaryFolder(async (folder) => {
    const realm = ["--trust-domain", "registry.example", "--region", "eu-1"];
    const made = await crs(["identity", "init", ...realm, "--out", `${folder}/pki`]);
    assert.is(made.code, 0, made.stderr);
    const authority = ["--authority", `${folder}/pki/authority`, "--region", "eu-1", "--found"];
    const both = await startBoth(`${folder}/data`, ...authority, "--anonymous", anonymous);
    try {
      await run(both, folder);
    } finally {
      both.process.kill("SIGTERM");
      await both.process.ended();
    }
  });
}

test("a front before a node with an authority has an identity of its own, and its callers theirs", () =>
  withAuthority("governed", async ({ url }, folder) => {
    assert.is(await statusOf(`${url}/v1/agents`), 403, "anonymously");
    assert.is(await statusOf(`${url}/readyz`), 200, "as the front itself");
    const bearer = { headers: { authorization: "Bearer a.b.c" } };
    const refused = await fetch(`${url}/v1/agents`, bearer);
    assert.is(refused.status, 401, await refused.text());
    const { mode } = Deno.statSync(`${folder}/data/identity/front/key.pem`);
    assert.is(mode! & 0o777, 0o600);
    await takesCapabilities(`${folder}/pki/administrator`, `${folder}/data`, url);
    await servesCertificates(folder, `${folder}/data`);
  }));

test("--anonymous read lets everybody read records, and nobody write them", () =>
  withAuthority("read", async ({ url }) => {
    assert.is(await statusOf(`${url}/v1/agents`), 200);
    const response = await fetch(`${url}/v1/agents`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"domain": "a.example"}`,
    });
    assert.is(response.status, 403, await response.text());
  }));

test.run();
