/**
 * A cluster with identities is backed up and restored: only controllers may, identities of before are known
 * again, those of the former nodes are banned, and nothing secret is in the backup.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BACKUPS_APPLY_VERSION } from "../../src/system/versions/features.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { type CrsProcess, startCrs, type StartedNode } from "../support/crs_process.ts";
import { until } from "../support/until.ts";

const folder = await Deno.makeTempDir();
const authority = `${folder}/pki/authority`;
const asAdministrator = ["--identity", `${folder}/pki/administrator`];
const asAgent = ["--identity", `${folder}/agent`];
const place = ["--region", "eu-1", "--partitions", "8"];
const processes: CrsProcess[] = [];

async function done<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await crsInProcess([...args, "--json"]);
  assert.is(code, 0, `crs ${args.join(" ")}: ${stderr}${stdout}`);
  return JSON.parse(stdout) as T;
}

async function codeOf(...args: string[]): Promise<string> {
  const { code, stdout } = await crsInProcess([...args, "--json"]);
  return code === 0 ? "ok" : JSON.parse(stdout).error.code;
}

async function start(name: string, ...flags: string[]): Promise<StartedNode> {
  const { process, node } = await startCrs(`${folder}/${name}`, { flags: [...flags, ...place] });
  processes.push(process);
  return node;
}

function at(name: string, { addresses: [address] }: StartedNode): string[] {
  const { currentPin } = JSON.parse(Deno.readTextFileSync(`${folder}/${name}/node.json`));
  return ["--server", `${address!.host}:${address!.port}`, "--pin", currentPin];
}

async function killAll(): Promise<void> {
  for (const process of processes.splice(0)) {
    process.kill("SIGKILL");
    await process.ended();
  }
}

/** Returns the texts of the private keys in a folder, without armour and line ends. */
function* secretsIn(path: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(path)) {
    if (isDirectory) yield* secretsIn(`${path}/${name}`);
    else if (/key/.test(name)) {
      const text = Deno.readTextFileSync(`${path}/${name}`);
      for (const [, body] of text.matchAll(/PRIVATE KEY-----\n([\s\S]+?)\n-----END/g)) {
        yield body!.replaceAll("\n", "");
      }
    }
  }
}

test("a cluster with identities is restored; its controllers alone back it up", async () => {
  try {
    const init = ["--trust-domain", "registry.example", "--region", "eu-1"];
    await done("identity", "init", ...init, "--out", `${folder}/pki`);
    const first = await start("1", "--authority", authority, "--zone", "a", "--found");
    const there = at("1", first);
    await done("identity", "issue", ...asAdministrator, ...there);
    const joined = await done<{ token: string }>(
      ...["identity", "join-token", "node", ...asAdministrator, ...there],
    );
    const join = ["--join", there[1]!, "--pin", there[3]!, "--token", joined.token];
    await start("2", ...join, "--zone", "b");
    const made = await done<{ token: string; subject: string }>(
      ...["identity", "join-token", "agent", "--domain", "a.example", ...asAdministrator, ...there],
    );
    const issue = ["identity", "issue", ...asAgent, "--subject", made.subject];
    await done(...issue, "--token", made.token, ...there);
    const id = made.subject.slice(made.subject.lastIndexOf("/") + 1);
    const own = ["agent", "register", "--id", id, "--region", "eu-1", "--domain", "a.example"];
    await done(...own, ...asAgent, ...there, "--ttl", "10m");

    await until("all members know how backups are audited", async () => {
      const status = ["cluster", "upgrade", "status", ...asAdministrator, ...there, "--json"];
      const { stdout } = await crsInProcess(status);
      return JSON.parse(stdout).applyVersion >= BACKUPS_APPLY_VERSION;
    });
    const backup = `${folder}/backup`;
    assert.is(await codeOf("backup", backup, ...asAgent, ...there), "permission_denied");
    await done("backup", backup, ...asAdministrator, ...there);
    assert.ok((await done<{ ok: boolean }>("backup", backup, "--verify")).ok);
    const bytes = [...Deno.readDirSync(backup)]
      .map(({ name }) => Deno.readFileSync(`${backup}/${name}`));
    const secrets = [...secretsIn(`${folder}/pki`), ...secretsIn(`${folder}/1`)];
    assert.ok(secrets.length >= 4, `${secrets.length} keys`);
    for (const secret of [...secrets, joined.token, made.token]) {
      const raw = Uint8Array.from(
        atob(/^[\w+/=]+$/.test(secret) ? secret : ""),
        (c) => c.charCodeAt(0),
      );
      for (const file of bytes) {
        assert.not(contains(file, new TextEncoder().encode(secret)));
        // The last 32 bytes of a PKCS #8 key are the key of Ed25519, and a part of any other.
        if (raw.length >= 32) assert.not(contains(file, raw.subarray(raw.length - 32)));
      }
    }
    // Renewed after the backup: of a leaf that the restored group 0 does not know.
    await done("identity", "renew", ...asAdministrator, ...there);

    await killAll();
    await done("restore", backup, "--found", "--data", `${folder}/3`);
    const restored = await start("3", "--authority", authority, "--zone", "a");
    assert.is(restored.nodeId, 3);
    const here = at("3", restored);
    const found = await done<{ agent: { id: string } }>(
      ...["agent", "resolve", "a.example", ...asAdministrator, ...here],
    );
    assert.is(found.agent.id, id);
    await done(...own, ...asAgent, ...here, "--ttl", "11m");
    await done("identity", "renew", ...asAgent, ...here);
    const bans = JSON.stringify(await done("identity", "bans", ...asAdministrator, ...here));
    assert.match(bans, /restored from a backup/);
    const { code, stdout } = await crsInProcess(
      ["identity", "audit", "--verify", "--json", ...asAdministrator, ...here],
    );
    assert.is(code, 0, stdout);
    assert.match(stdout, /restored from a backup/);
    assert.match(stdout, /"action": "backup"/);
    const token = await done<{ token: string }>(
      ...["identity", "join-token", "node", ...asAdministrator, ...here],
    );
    const again = ["--join", here[1]!, "--pin", here[3]!, "--token", token.token];
    assert.is((await start("4", ...again, "--zone", "b")).nodeId, 4);
    // A node of before comes back with its folder, its certificate and its keys.
    await start("2", "--zone", "b");
    await until("the former node has no quorum", async () => {
      const { code: exit } = await crsInProcess(["status", "--data", `${folder}/2`, ...asAgent]);
      return exit !== 0;
    });
    const { nodes } = await done<{ nodes: { nodeId: number }[] }>(
      ...["cluster", "status", ...asAdministrator, ...here],
    );
    assert.equal(nodes.map(({ nodeId }) => nodeId), [3, 4]);
  } finally {
    await killAll();
    await Deno.remove(folder, { recursive: true });
  }
});

function contains(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let at = 0; at + part.length <= bytes.length; at++) {
    if (part.every((byte, index) => bytes[at + index] === byte)) return true;
  }
  return false;
}

test.run();
