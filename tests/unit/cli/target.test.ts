/** Selection of the registry to connect to, and of the trust in it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import type { CliFailure } from "../../../src/cli/failure.ts";
import type { ServerOptions } from "../../../src/cli/shell.ts";
import { findTarget, stalenessOf, unreachableFailure } from "../../../src/cli/target.ts";
import {
  ensurePrivateFolder,
  PUBLIC_FILE_MODE,
  replaceFile,
} from "../../../identity/files/private_file.ts";
import { readNodeFile, writeNodeFile } from "../../../identity/files/node_file.ts";

const CA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const PIN = `sha256:${"ab".repeat(32)}`;
const CLUSTER = "6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11";

function nodeFile({ processId, port }: { processId: number; port: number }) {
  return {
    processId,
    startedAtMs: 1,
    clusterId: CLUSTER,
    nodeId: 1,
    region: "eu-1",
    addresses: [
      { transport: "quic", host: "127.0.0.1", port },
      { transport: "webtransport", host: "127.0.0.1", port },
    ],
    ops: { host: "127.0.0.1", port: 5_001 },
    currentPin: new Uint8Array(32),
    nextPin: new Uint8Array(32),
  };
}

function dataFolder({ withNode = true, withCa = true } = {}): string {
  const folder = Deno.makeTempDirSync();
  if (withCa) {
    ensurePrivateFolder(`${folder}/identity`);
    replaceFile(`${folder}/identity/ca.pem`, CA, PUBLIC_FILE_MODE);
  }
  if (withNode) {
    writeNodeFile(folder, nodeFile({ processId: 4_242, port: 5_000 }));
  }
  return folder;
}

function withFolder(use: (folder: string) => void, options = {}): void {
  const folder = dataFolder(options);
  try {
    use(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const alive = () => true;

test("findTarget finds the nodes of a cluster by its folder, those that are alive", () => {
  const cluster = Deno.makeTempDirSync();
  try {
    for (const [number, port] of [[1, 5_000], [2, 5_100], [3, 5_200]] as const) {
      const folder = `${cluster}/node-${number}`;
      ensurePrivateFolder(`${folder}/identity`);
      replaceFile(
        `${folder}/identity/ca.pem`,
        CA.replace("AAAA", "AAA" + number),
        PUBLIC_FILE_MODE,
      );
      writeNodeFile(folder, nodeFile({ processId: number, port }));
    }
    const target = findTarget({ data: cluster }, {}, (processId) => processId !== 1);
    assert.equal(target.endpoints.map(({ port }) => port), [5_100, 5_200]);
    assert.equal(target.trust, {
      kind: "ca",
      pem: [CA.replace("AAAA", "AAA2"), CA.replace("AAAA", "AAA3")],
    });
    assert.is(target.local?.folder, `${cluster}/node-2`);
    const gone = findTarget({ data: cluster }, {}, () => false);
    assert.equal(gone.endpoints.map(({ port }) => port), [5_000]);
    assert.is(gone.local?.isAlive, false);
  } finally {
    Deno.removeSync(cluster, { recursive: true });
  }
});

test("findTarget finds the local node by its data folder", () =>
  withFolder((folder) => {
    assert.equal(findTarget({ data: folder }, {}, alive), {
      endpoints: [{ host: "127.0.0.1", port: 5_000 }],
      trust: { kind: "ca", pem: [CA] },
      timeoutMs: 5_000,
      connectMs: 5_000,
      local: { folder, clusterId: CLUSTER, region: "eu-1", processId: 4_242, isAlive: true },
    });
    assert.equal(findTarget({}, { CRS_DATA: folder }, alive).endpoints, [
      { host: "127.0.0.1", port: 5_000 },
    ]);
  }));

test("findTarget pins the local node for whoever proves an identity, or where it has no CA", () =>
  withFolder((folder) => {
    const { trust } = findTarget({ data: folder, identity: "mine" }, {}, alive);
    assert.is(trust.kind, "pins");
    assert.is(findTarget({ data: folder }, { CRS_IDENTITY: "mine" }, alive).trust.kind, "pins");
    Deno.removeSync(`${folder}/identity/ca.pem`);
    assert.is(findTarget({ data: folder }, {}, alive).trust.kind, "pins");
  }));

test("findTarget prefers --server, then --data, then CRS_SERVER, then CRS_DATA", () =>
  withFolder((folder) => {
    const environment = { CRS_SERVER: "10.0.0.1:1", CRS_DATA: folder };
    const portOf = (options: object) =>
      findTarget(options, environment, alive).endpoints.map(({ port }) => port);
    assert.equal(portOf({ server: "10.0.0.2:2", data: folder }), [2]);
    assert.equal(portOf({ data: folder }), [5_000]);
    assert.equal(portOf({}), [1]);
    assert.equal(
      findTarget({}, { ...environment, CRS_SERVER: "" }, alive).endpoints[0]?.port,
      5_000,
    );
  }));

test("findTarget takes several servers, IPv6, names, and the default port", () => {
  const { endpoints } = findTarget({ server: "a.example, [::1]:7,10.0.0.1:65535", pin: [PIN] }, {});
  assert.equal(endpoints, [
    { host: "a.example", port: 4_443 },
    { host: "::1", port: 7 },
    { host: "10.0.0.1", port: 65_535 },
  ]);
});

test("findTarget refuses a server that is no host and port", () => {
  for (const server of ["", ":1", "a:", "a:0", "a:65536", "::1:4", "a b:1", "http://a:1"]) {
    assert.throws(
      () => findTarget({ server, pin: [PIN] }, {}),
      (error: RegistryError) => error.code === "invalid_argument",
      server,
    );
  }
});

test("findTarget believes a named server by --pin, --ca, their variables, the data folder", () =>
  withFolder((folder) => {
    const server = "10.0.0.1:1";
    const ca = `${folder}/identity/ca.pem`;
    const trustOf = (options: object, environment = {}) =>
      findTarget({ server, data: "/nowhere", ...options }, environment).trust.kind;
    assert.is(trustOf({ pin: [PIN], ca }), "pins");
    assert.is(trustOf({ ca }, { CRS_PIN: PIN }), "ca");
    assert.is(trustOf({}, { CRS_PIN: `${PIN},${PIN}`, CRS_CA: ca }), "pins");
    assert.is(trustOf({}, { CRS_CA: ca }), "ca");
    assert.is(trustOf({ data: folder }), "ca");
    assert.throws(
      () => trustOf({ ca: `${folder}/none.pem` }),
      (error: CliFailure) =>
        error.code === "invalid_argument" && error.message.includes("none.pem"),
    );
    assert.throws(
      () => trustOf({}),
      (error: CliFailure) => error.code === "invalid_argument" && error.advice.includes("--pin"),
    );
  }));

test("findTarget says how to start a node where none is found", () =>
  withFolder((folder) => {
    assert.throws(
      () => findTarget({ data: folder }, { npm_command: "exec" }),
      (error: CliFailure) =>
        error.code === "connection_lost" &&
        error.advice.includes("npx -y deno@2.9.6 task start") &&
        error.message.includes(`${folder}/node.json`),
    );
  }, { withNode: false }));

test("findTarget goes by TLS to the node's TLS port, and believes its CA alone", () =>
  withFolder((folder) => {
    const identity = `${folder}/mine`;
    ensurePrivateFolder(identity);
    replaceFile(`${identity}/root.pem`, CA, PUBLIC_FILE_MODE);
    const server = "10.0.0.1:1";
    const tls = { tls: true, data: folder, identity };
    assert.throws(
      () => findTarget(tls, {}, alive),
      (error: CliFailure) => error.code === "connection_lost" && /--tls on/.test(error.advice),
    );
    const node = readNodeFile(folder)!;
    const addresses = [...node.addresses, { transport: "tls", host: "127.0.0.1", port: 5_002 }];
    writeNodeFile(folder, { ...node, addresses });
    const { endpoints, trust } = findTarget(tls, { CRS_PIN: PIN }, alive);
    assert.equal(endpoints, [{ host: "127.0.0.1", port: 5_002 }]);
    assert.equal(trust, { kind: "ca", pem: [CA] });
    assert.equal(findTarget({ ...tls, server }, {}, alive).trust, { kind: "ca", pem: [CA] });
    const { identity: _, ...foreign } = tls;
    for (const mistake of [foreign, { ...tls, pin: [PIN] }]) {
      assert.throws(
        () => findTarget({ ...mistake, server }, {}),
        (error: CliFailure) => error.code === "invalid_argument",
      );
    }
  }));

test("findTarget bounds the time", () => {
  const timeoutOf = (timeout: string) =>
    findTarget({ server: "a:1", pin: [PIN], timeout }, {}).timeoutMs;
  assert.is(timeoutOf("250ms"), 250);
  assert.is(timeoutOf("60"), 60_000);
  assert.throws(() => timeoutOf("61"));
  assert.throws(() => timeoutOf("0"));
});

test("stalenessOf reads a duration from 0 to a minute", () => {
  assert.is(stalenessOf({}), 0);
  const accepted = [["100ms", 100], ["0", 0], ["4", 4_000], ["0.25s", 250], ["1m", 60_000]];
  for (const [maxStaleness, ms] of accepted as [string, number][]) {
    assert.is(stalenessOf({ maxStaleness }), ms);
  }
  for (const maxStaleness of ["-1", "61", "1d", "NaN", "", "1e3", "100 ms", "99999999999999"]) {
    assert.throws(
      () => stalenessOf({ maxStaleness }),
      (error: CliFailure) =>
        error.code === "invalid_argument" && error.fields.field === "max-staleness" &&
        error.message.startsWith("--max-staleness must be a duration from 0 ms to 1 m: found "),
      maxStaleness,
    );
  }
});

test("a node that starts is told from one that has ended, by who holds its log", () =>
  withFolder((folder) => {
    const holds = (processId: number) => processId === 77;
    ensurePrivateFolder(`${folder}/log`);
    replaceFile(`${folder}/log/lock`, "77\n", PUBLIC_FILE_MODE);
    const target = findTarget({ data: folder }, {}, holds);
    const lost = new RegistryError("connection_lost", "nobody there");
    assert.match(unreachableFailure(target, {}, lost).message, /is starting: its process 77/);
    const gone = findTarget({ data: folder }, {}, () => false);
    assert.match(unreachableFailure(gone, {}, lost).message, /has ended/);
  }));

test("unreachableFailure tells that the local node's process has ended", () =>
  withFolder((folder) => {
    const target = findTarget({ data: folder }, {}, () => false);
    const cause = new RegistryError("deadline_exceeded", "No session");
    const failure = unreachableFailure(target, {}, cause) as CliFailure;
    assert.is(failure.code, "connection_lost");
    assert.ok(failure.message.includes("4242"));
    assert.ok(failure.advice.includes("deno task start"));
  }));

test("unreachableFailure tells what to do where a local node has another certificate than its folder's", () =>
  withFolder((folder) => {
    const cause = new RegistryError("tls_failed", "UnknownIssuer");
    const failure = unreachableFailure(findTarget({ data: folder }, {}, () => true), {}, cause);
    assert.is(failure.code, "tls_failed");
    assert.match((failure as CliFailure).advice, /--authority.*--identity.*--pin/);
    // A pin or CA that the user named is wrong itself.
    const named = findTarget({ data: folder, pin: [PIN] }, {}, () => true);
    assert.is(unreachableFailure(named, {}, cause), cause);
  }));

test("findTarget gives a named server 2 s to be reached, unless a time is named", () =>
  withFolder((folder) => {
    const connectMs = (options: ServerOptions, isAlive = true) =>
      findTarget(options, {}, () => isAlive).connectMs;
    assert.is(connectMs({ server: "10.0.0.1", pin: [PIN] }), 2_000);
    assert.is(connectMs({ server: "10.0.0.1,10.0.0.2", pin: [PIN] }), 4_000);
    assert.is(connectMs({ server: "a,b,c,d", pin: [PIN] }), 5_000);
    assert.is(connectMs({ server: "10.0.0.1", pin: [PIN], timeout: "9s" }), 9_000);
    assert.is(connectMs({ server: "10.0.0.1", pin: [PIN], timeout: "300ms" }), 300);
    assert.is(connectMs({ data: folder }), 5_000);
    assert.is(connectMs({ data: folder }, false), 500);
  }));

test("unreachableFailure names the server that does not answer, and leaves other errors alone", () => {
  const target = findTarget({ server: "10.0.0.1:1", pin: [PIN] }, {});
  const late = new RegistryError("deadline_exceeded", "No session");
  assert.ok(unreachableFailure(target, {}, late).message.includes("10.0.0.1 port 1 within 2 s"));
  const other = new RegistryError("wrong_cluster", "Another one");
  assert.is(unreachableFailure(target, {}, other), other);
});

test.run();
