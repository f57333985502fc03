/**
 * Identities with real nodes, as an operator uses them: a trust domain, a node, an administrator, a
 * gateway that joins and works, tokens, a ban that ends an open session, and the audit log of all
 * of it.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crsInProcess } from "../support/crs_in_process.ts";
import { type CrsOptions, CrsProcess, type CrsResult, startCrs } from "../support/crs_process.ts";
import { until } from "../support/until.ts";

const folder = await Deno.makeTempDir();
const data = `${folder}/data`;
const administrator = `${folder}/pki/administrator`;
const gatewayFolder = `${folder}/gateway`;
const processes: CrsProcess[] = [];

async function run(args: readonly string[], options?: CrsOptions): Promise<CrsResult> {
  const where = args[1] === "init" ? [] : ["--data", data];
  return await crsInProcess([...args, ...where, "--json"], options);
}

/** Returns the document of a command that must succeed. */
async function done<T = Record<string, unknown>>(
  args: readonly string[],
  options?: CrsOptions,
): Promise<T> {
  const { code, stdout, stderr } = await run(args, options);
  assert.is(code, 0, `crs ${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** Returns the exit code and the error code of a command that must fail. */
async function refused(args: readonly string[], options?: CrsOptions): Promise<[number, string]> {
  const { code, stdout } = await run(args, options);
  return [code, (JSON.parse(stdout) as { error?: { code: string } }).error?.code ?? "none"];
}

/** Returns the node's count of sessions. */
async function openSessions(): Promise<number> {
  const response = await fetch(`http://${ops.host}:${ops.port}/metrics`);
  const counts = (await response.text()).matchAll(/^crs_sessions\{.*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function assertMissing(path: string): Promise<void> {
  const found = await Deno.stat(path).then(() => true, () => false);
  assert.is(found, false, path);
}

let ops = { host: "", port: 0 };
const asAdministrator = ["--identity", administrator];
const asGateway = ["--identity", gatewayFolder];
/** The record outlives the test, on a busy machine too. */
const lasting = ["--ttl", "10m"];
let subject = "";
let id = "";

test("crs identity init makes a trust domain once", async () => {
  const init = ["identity", "init", "--trust-domain", "registry.example", "--region", "eu-1"];
  const made = await done([...init, "--out", `${folder}/pki`]);
  assert.match(String(made["administrator"]), /^spiffe:\/\/registry\.example\/region\/eu-1\/contr/);
  assert.equal(await refused([...init, "--out", `${folder}/pki`]), [2, "invalid_argument"]);
  const { mode } = await Deno.stat(`${folder}/pki/root/root-key.pem`);
  assert.is(mode! & 0o777, 0o600);
});

test("crs start with an authority takes no requests of unauthenticated clients", async () => {
  const authority = `${folder}/pki/authority`;
  const found = ["start", "--data", data, "--authority", authority, "--found", "--json"];
  const wrong = await crsInProcess(found);
  assert.is(wrong.code, 2, "The region is not that of the authority");
  const { process, node } = await startCrs(data, {
    flags: ["--authority", authority, "--region", "eu-1", "--found", "--partitions", "8"],
  });
  processes.push(process);
  ops = node.ops;
  assert.equal(await refused(["gateway", "list"]), [2, "unauthenticated"]);
});

test("crs identity issue gets the administrator's certificate by its key", async () => {
  const { identity, lineage } = await done<{ identity: string; lineage: number }>(
    ["identity", "issue", ...asAdministrator],
  );
  assert.is(identity, administrator);
  assert.ok(lineage > 2);
});

test("a join token is good for one certificate of whom it names", async () => {
  const made = await done<{ token: string; subject: string; command: string }>(
    ["identity", "join-token", "gateway", "--domain", "g.example", ...asAdministrator],
  );
  subject = made.subject;
  id = subject.slice(subject.lastIndexOf("/") + 1);
  const claim = ["identity", "issue", "--token", made.token, "--subject"];
  const other = subject.slice(0, -4) + "0000";
  const foreign = ["--identity", `${folder}/foreign`];
  assert.equal(await refused([...claim, other, ...foreign]), [2, "unauthenticated"]);
  // A refused attempt leaves nothing behind that would prevent the next one.
  await assertMissing(`${folder}/foreign`);
  // As printed by the command, from anywhere: by address and pin.
  const words = made.command.split(" ");
  const issue = words.slice(words.indexOf("identity"));
  issue[issue.indexOf("./gateway")] = gatewayFolder;
  assert.not(made.command.includes(made.token), "other users of a machine see arguments");
  const { code, stderr } = await crsInProcess(issue, {
    env: { CRS_DATA: `${folder}/nowhere` },
    input: `${made.token}\n`,
  });
  assert.is(code, 0, stderr);
  const thief = ["--identity", `${folder}/thief`];
  assert.equal(await refused([...claim, subject, ...thief]), [2, "unauthenticated"]);
});

test("a gateway registers its own record, which tells by whose certificate", async () => {
  const fields = ["--region", "eu-1", "--domain", "g.example", "--address", "192.0.2.1"];
  const register = [
    "gateway",
    "register",
    ...fields,
    "--port",
    "4000",
    ...asGateway,
    ...lasting,
    "--id",
  ];
  await done([...register, id]);
  const other = "11111111-1111-4111-8111-111111111111";
  assert.equal(await refused([...register, other]), [2, "permission_denied"]);
  const { writer } = await done<{ writer: { subject: string; stopped: string } }>(
    ["gateway", "get", id, ...asGateway],
  );
  assert.equal([writer.subject, writer.stopped], [subject, ""]);
  const text = await crsInProcess(["gateway", "get", id, "--data", data, ...asGateway]);
  assert.match(text.stdout, `written by   ${subject}, lineage `);
});

test("crs identity renew changes the key and keeps the lineage", async () => {
  const before = await Deno.readTextFile(`${gatewayFolder}/key.pem`);
  const { lineage } = await done<{ lineage: number }>(["identity", "renew", ...asGateway]);
  assert.is.not(await Deno.readTextFile(`${gatewayFolder}/key.pem`), before);
  const { writer } = await done<{ writer: { lineage: number } }>(
    ["gateway", "get", id, ...asGateway],
  );
  assert.is(writer.lineage, lineage);
});

test("the trust bundle names the server, which is then found by address alone", async () => {
  const { bundle } = await done<{ bundle: { servers: { authorities: string[] }[] } }>(
    ["identity", "bundle", ...asGateway],
  );
  const [server] = bundle.servers[0]!.authorities;
  const environment = { env: { CRS_DATA: `${folder}/nowhere` } };
  const known = await crsInProcess(
    ["gateway", "get", id, "--server", server!, ...asGateway],
    environment,
  );
  assert.is(known.code, 0, known.stderr);
  const unknown = ["gateway", "get", id, "--server", "127.0.0.1:1", ...asGateway];
  const { code, stderr } = await crsInProcess(unknown, environment);
  assert.is(code, 2);
  assert.match(stderr, "--pin");
});

test("a token is minted, and checked with the published keys", async () => {
  const { token } = await done<{ token: string }>(
    ["identity", "token", "mint", "--audience", "api.example", ...asGateway],
  );
  const keys = await done(["identity", "jwks", ...asGateway]);
  await Deno.writeTextFile(`${folder}/keys.json`, JSON.stringify(keys));
  const verify = [
    "identity",
    "token",
    "verify",
    "--token-file",
    "-",
    "--jwks",
    `${folder}/keys.json`,
  ];
  const claims = await done<{ subject: string }>(
    [...verify, "--audience", "api.example"],
    { input: token },
  );
  assert.is(claims.subject, subject);
  const other = [...verify, "--audience", "other.example"];
  assert.equal(await refused(other, { input: token }), [2, "unauthenticated"]);
});

test("a controller issues a token for another, whose session then has what it grants", async () => {
  const mint = ["identity", "token", "mint", "--subject", subject, "--credential-hashes"];
  assert.equal(await refused([...mint, ...asGateway]), [2, "permission_denied"]);
  const { token } = await done<{ token: string }>([...mint, ...asAdministrator]);
  const get = ["gateway", "get", id];
  await done([...get, ...asGateway, "--use-token", token]);
  await done([...get, ...asGateway, "--use-token-file", "-"], { input: `${token}\n` });
  await done([...get, ...asGateway], { env: { CRS_USE_TOKEN: token } });
  const known = async (options: CrsOptions) =>
    await done<{ subject: string; role: string; grants: Record<string, unknown> }>(
      ["identity", "whoami", ...asGateway],
      options,
    );
  const own = await known({});
  assert.equal([own.subject, own.role, own.grants["domains"]], [subject, "gateway", ["g.example"]]);
  assert.is(own.grants["credentialHashes"], false);
  const granted = await known({ env: { CRS_USE_TOKEN: token } });
  assert.is(granted.grants["credentialHashes"], true);
  // The token is bound to the gateway's certificate.
  assert.equal(await refused([...get, ...asAdministrator, "--use-token", token]), [
    2,
    "unauthenticated",
  ]);
  assert.equal(await refused([...get, "--use-token", token]), [2, "invalid_argument"]);
  await done(["identity", "renew", ...asGateway]);
  assert.equal(await refused([...get, ...asGateway, "--use-token", token]), [
    2,
    "unauthenticated",
  ]);
});

test("a capability is minted by a controller, narrowed offline, verified, and banned by its id", async () => {
  const group = ["identity", "capability"];
  const mint = [...group, "mint", "--scope", "registry:propose", "--scope", "registry:apply"];
  assert.equal(await refused([...mint, ...asGateway]), [2, "permission_denied"]);
  const whole = await done<{ capability: string; id: string }>([...mint, ...asAdministrator]);
  const { stdout } = await crsInProcess(
    [...group, "attenuate", "--capability-file", "-", "--method", "GET", "--json"],
    { input: whole.capability },
  );
  const narrow = JSON.parse(stdout) as typeof whole;
  assert.is(narrow.id, whole.id);
  const verify = [...group, "verify", "--capability-file", "-", ...asGateway];
  const input = { input: narrow.capability };
  const request = ["--path", "/v1/registry/version", "--address", "127.0.0.1", "--method"];
  await done([...verify, ...request, "GET"], input);
  assert.equal(await refused([...verify, ...request, "POST"], input), [2, "permission_denied"]);
  const forged = { input: narrow.capability.slice(0, -6) + "AAAAAA" };
  assert.equal(await refused(verify, forged), [2, "unauthenticated"]);
  const ban = ["identity", "ban", "capability", whole.id];
  assert.equal(await refused([...ban, ...asGateway]), [2, "permission_denied"]);
  await done([...ban, ...asAdministrator]);
  await until("it is refused", async () => {
    const { code } = await run(verify, input);
    return code === 2;
  }, 1_000);
});

test("only a controller bans; a ban ends an open session within a second", async () => {
  const ban = ["identity", "ban", "subject", subject];
  assert.equal(await refused([...ban, ...asGateway]), [2, "permission_denied"]);
  const fields = ["--region", "eu-1", "--domain", "g.example", "--address", "192.0.2.1"];
  const keep = ["gateway", "keep", ...fields, "--port", "4000", "--id", id, ...lasting];
  const open = new CrsProcess([...keep, "--data", data, ...asGateway, "--json"]);
  processes.push(open);
  await open.printed("a registration", (text) => text.includes(`"registered"`) ? text : undefined);
  await until("no session but that one", async () => await openSessions() === 1);

  await done([...ban, "--reason", "lost laptop", ...asAdministrator]);
  // The ban is reported when it is committed; the command has ended its own session by then.
  await until("no session is left", async () => await openSessions() === 0, 1_000);
  assert.equal(await refused(["gateway", "get", id, ...asGateway]), [2, "unauthenticated"]);
  // A banned client does not retry for ever.
  const { code, stderr } = await open.ended();
  assert.is(code, 2);
  assert.match(stderr, /unauthenticated[^]*cannot be kept/);

  const unban = ["identity", "unban", "subject", subject, ...asAdministrator];
  await done(unban);
  assert.equal(await refused(unban), [3, "not_found"]);
  // The ban also ended its record, although the lease had minutes left.
  assert.equal(await refused(["gateway", "get", id, ...asGateway]), [3, "not_found"]);
  await done([
    "gateway",
    "register",
    ...fields,
    "--port",
    "4000",
    "--id",
    id,
    ...lasting,
    ...asGateway,
  ]);
});

test("crs identity audit --verify shows who did what, and that nothing is missing", async () => {
  const { verified, entries } = await done<{
    verified: boolean;
    entries: { number: number; action: string; subject: string }[];
  }>(["identity", "audit", "--verify", ...asAdministrator]);
  assert.is(verified, true);
  assert.equal(entries.map(({ number }) => number), entries.map((_, index) => index + 1));
  const actions = entries.filter((entry) => entry.subject === subject).map(({ action }) => action);
  assert.equal(actions, ["joinToken", "enrol", "renew", "token", "renew", "ban", "unban"]);
  const audit = ["identity", "audit", ...asGateway];
  assert.equal(await refused(audit), [2, "permission_denied"]);
  const { entries: newest } = await done<{ entries: unknown[] }>(
    ["identity", "audit", "--last", "2", ...asAdministrator],
  );
  assert.is(newest.length, 2);
});

test("a restart keeps identities and the node's own certificate chain", async () => {
  const [first] = processes;
  first!.kill("SIGTERM");
  assert.is((await first!.ended()).code, 0, first!.stderr);
  // On all addresses, which a node without an authority may not use.
  const { process } = await startCrs(data, {
    flags: [
      ...["--authority", `${folder}/pki/authority`, "--region", "eu-1", "--partitions", "8"],
      ...["--host", "0.0.0.0", "--advertise", "127.0.0.2"],
      ...["--tls", "on", "--tls-port", "0"],
    ],
  });
  processes.push(process);
  const { verified } = await done<{ verified: boolean }>(
    ["identity", "audit", "--verify", ...asAdministrator],
  );
  assert.is(verified, true);
  await done(["identity", "renew", ...asGateway]);
});

test("an identity goes by TLS too, where UDP is blocked", async () => {
  const byTls = ["--tls", ...asGateway];
  const { writer } = await done<{ writer: { subject: string } }>(["gateway", "get", id, ...byTls]);
  assert.is(writer.subject, subject);
  const before = await Deno.readTextFile(`${gatewayFolder}/key.pem`);
  await done(["identity", "renew", ...byTls]);
  assert.is.not(await Deno.readTextFile(`${gatewayFolder}/key.pem`), before);
  const { addresses } = JSON.parse(await Deno.readTextFile(`${data}/node.json`)) as {
    addresses: { transport: string; host: string; port: number }[];
  };
  const { host, port } = addresses.find(({ transport }) => transport === "tls")!;
  const known = ["gateway", "get", id, "--server", `${host}:${port}`, ...byTls];
  const { code, stderr } = await crsInProcess(known, { env: { CRS_DATA: `${folder}/nowhere` } });
  assert.is(code, 0, stderr);
  assert.equal(await refused(["gateway", "get", id, "--tls"]), [2, "invalid_argument"]);
  assert.equal(await refused(["identity", "issue", "--tls", ...asAdministrator]), [
    2,
    "invalid_argument",
  ]);
});

test("teardown: all processes end", async () => {
  for (const process of processes) process.kill("SIGKILL");
  await Promise.all(processes.map((process) => process.ended()));
  await Deno.remove(folder, { recursive: true });
});

test.run();
