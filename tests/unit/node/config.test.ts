/** Configuration: precedence, reporting of all mistakes at once, the table and the file. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ConfigSources, resolveConfig } from "../../../src/node/config.ts";
import { loadConfig } from "../../../src/node/config_file.ts";
import { serviceVariables } from "../../../src/node/service_variables.ts";
import { type Setting, wantedOf } from "../../../src/node/setting.ts";
import { flagOf, SETTING_KEYS, SETTINGS, variableOf } from "../../../src/node/settings.ts";
import * as tokenText from "../../../src/cli/token_text.ts";
import { refusalOf } from "../../support/refusal.ts";

const file = (value: unknown) => ({ path: "crs.json", value });

function mistakesOf(sources: Partial<ConfigSources>): string[] {
  const error = refusalOf(() => resolveConfig({ flags: {}, environment: {}, ...sources }));
  assert.is(error.code, "invalid_configuration");
  return error.message.split("\n").slice(1).map((line) => line.trim());
}

test("resolveConfig without sources is the defaults of the table", () => {
  const config = resolveConfig({ flags: {}, environment: { PATH: "/bin" } });
  for (const key of SETTING_KEYS) assert.is(config[key], SETTINGS[key].default, key);
  assert.is(config.partitions, 1_024);
  assert.is(config.region, "global");
});

test("resolveConfig takes flags before environment before file before defaults", () => {
  const sources = {
    flags: { port: "1" },
    environment: { CRS_PORT: "2", CRS_OPS_PORT: "3" },
    file: file({ port: 4, opsPort: 5, region: "eu-1" }),
  };
  const config = resolveConfig(sources);
  assert.is(config.port, 1);
  assert.is(config.opsPort, 3);
  assert.is(config.region, "eu-1");
  assert.is(config.nodeId, 0);
  assert.is(resolveConfig({ ...sources, flags: { port: undefined } }).port, 2);
});

test("resolveConfig ignores the variables of tokens and capabilities, which other commands read", () => {
  const names = Object.entries(tokenText).filter(([key]) => key.endsWith("_VARIABLE"));
  assert.is(names.length, 4);
  const environment = Object.fromEntries(names.map(([, name]) => [name, "secret"]));
  assert.is(resolveConfig({ flags: {}, environment }).port, SETTINGS.port.default);
});

test("resolveConfig ignores the variables that Kubernetes sets for services named crs…", () => {
  const environment = {
    CRS_PORT: "tcp://10.0.0.1:4443",
    CRS_SERVICE_HOST: "10.0.0.1",
    CRS_SERVICE_PORT: "4443",
    CRS_SERVICE_PORT_QUIC: "4443",
    CRS_PORT_4443_UDP: "udp://[fd00::1]:4443",
    CRS_PORT_4443_UDP_PROTO: "udp",
    CRS_PORT_4443_UDP_PORT: "4443",
    CRS_PORT_4443_UDP_ADDR: "fd00::1",
    CRS_OPS_PORT: "tcp://10.0.0.2:9443",
    CRS_OPS_SERVICE_HOST: "10.0.0.2",
    CRS_TLS_PORT: "sctp://10.0.0.3:1",
  };
  const config = resolveConfig({ flags: {}, environment });
  assert.is(config.port, SETTINGS.port.default);
  assert.is(config.opsPort, SETTINGS.opsPort.default);
  assert.equal(
    serviceVariables({ ...environment, CRS_REGION: "eu", CRS_PORT: "4444", PATH: "/" }),
    Object.keys(environment).filter((name) => name !== "CRS_PORT").sort(),
  );
  // Names that only look similar are still a mistake, or a setting.
  assert.is(resolveConfig({ flags: {}, environment: { CRS_OPS_PORT: "9" } }).opsPort, 9);
  for (const name of ["CRS_PORTS", "CRS_SERVICE", "CRS_HOST_SERVICE", "CRS_REGION_PORT"]) {
    assert.is(mistakesOf({ environment: { [name]: "1" } }).length, 1, name);
  }
  assert.is(mistakesOf({ environment: { CRS_PORT: "10.0.0.1:4443" } }).length, 1);
});

test("resolveConfig takes a join token for a node that joins only, and demands one beside an authority", () => {
  const token = "crs-join-" + "A".repeat(43);
  const pin = "sha256:" + "01".repeat(32);
  const join = { join: "192.0.2.1:4443", pin };
  assert.is(resolveConfig({ flags: { ...join, token }, environment: {} }).token, token);
  const away = { ...join, token, host: "192.0.2.9" };
  assert.is(resolveConfig({ flags: away, environment: {} }).host, "192.0.2.9");
  assert.match(mistakesOf({ flags: { token } }).join(), "a join token is for a node that joins");
  assert.match(
    mistakesOf({ flags: { ...join, authority: "pki" } }).join(),
    "besides the authority",
  );
  assert.match(mistakesOf({ flags: { ...join, token: "crs-join-x" } }).join(), "in full");
});

test("resolveConfig lists every mistake of all three sources at once", () => {
  const mistakes = mistakesOf({
    flags: { port: "70000", host: "0.0.0.0" },
    environment: { CRS_PARTITIONS: "1000", CRS_LOG_LEVEL: "loud", CRS_DRAIN_MS: "" },
    file: file({ region: "EU 1", memoryBytesMax: "1TiB", recordsMax: 1.5, nodeId: "1" }),
  });
  const expected = [
    /^file crs.json, "region": found "EU 1", wanted 1 to 63 of a-z/,
    /^file crs.json, "memoryBytesMax": found "1TiB", wanted bytes in \[134217728, 68719476736\]/,
    /^file crs.json, "recordsMax": found 1.5, wanted an integer in \[1, /,
    /^file crs.json, "nodeId": found "1", wanted an integer/,
    /^CRS_PARTITIONS: found "1000", wanted a power of two in \[1, 8192\]$/,
    /^CRS_LOG_LEVEL: found "loud", wanted one of trace, debug, info, warn, error, silent$/,
    /^CRS_DRAIN_MS: found "", wanted milliseconds in \[0, 600000\]/,
    /^--port: found "70000", wanted an integer in \[0, 65535\]$/,
    /^--host: found "0.0.0.0", wanted 127.0.0.1, ::1 or localhost: no identities are configured/,
  ];
  assert.is(mistakes.length, expected.length, mistakes.join("\n"));
  expected.forEach((pattern, index) => assert.match(mistakes[index]!, pattern));
});

test("resolveConfig takes the address of a machine for a node with an authority only", () => {
  const at = (host: string, authority?: string) => () =>
    resolveConfig({ flags: { host, authority }, environment: {} }).host;
  assert.is(at("192.0.2.1", "pki/authority")(), "192.0.2.1");
  assert.is(at("::1")(), "::1");
  for (const host of ["192.0.2.1", "0.0.0.0"]) {
    assert.match(refusalOf(at(host)).message, /no identities are configured/);
  }
  for (const host of ["0.0.0.0", "::"]) {
    assert.match(refusalOf(at(host, "pki/authority")).message, /that clients dial/);
  }
  assert.match(refusalOf(at("example.com", "pki/authority")).message, /literal address/);
});

test("resolveConfig takes any address to listen on where it is said what clients dial", () => {
  const told = { host: "0.0.0.0", authority: "pki/authority" };
  const at = (advertise: string, changes: object = {}) => () =>
    resolveConfig({ flags: { ...told, advertise, ...changes }, environment: {} });
  for (const advertise of ["a.example", "192.0.2.1", "2001:db8::1,eu-1.registry.example"]) {
    const { host, advertise: hosts } = at(advertise)();
    assert.equal([host, hosts], ["0.0.0.0", advertise]);
  }
  const mistakes = ["", "A.example", "a_b", "-a", "a.", "1.2.3", "a,b,c", "a,", "a:1", " a"];
  for (const advertise of mistakes) {
    assert.match(refusalOf(at(advertise)).message, /lower-case names/);
  }
  assert.match(refusalOf(at("a.example", { authority: undefined })).message, /an authority/);
});

test("resolveConfig counts its mistakes and names their settings in the error's field", () => {
  const error = refusalOf(() =>
    resolveConfig({ flags: { port: "x" }, environment: { CRS_NODE_ID: "-1" } })
  );
  assert.match(error.message, /has 2 mistakes:\n/);
  assert.is(error.fields.field, "nodeId,port");
});

test("resolveConfig finds a mistake even where a stronger source hides it", () => {
  const mistakes = mistakesOf({ flags: { port: "1" }, environment: { CRS_PORT: "x" } });
  assert.is(mistakes.length, 1);
});

test("resolveConfig takes an unknown key, variable or flag for a mistake and knows near ones", () => {
  const mistakes = mistakesOf({
    flags: { "log-level": "info", colour: "red" },
    environment: { CRS_LOGLEVEL: "info", CRS_SERVER: "for the CLI", CRS_CONFIG: "x", CRSX: "y" },
    file: file(JSON.parse('{"log_level": "info", "__proto__": 1, "constructor": 2}')),
  });
  assert.equal(mistakes.map((line) => line.replace(/^.*wanted /, "")), [
    "logLevel, if that is meant",
    "a setting that `crs start --help` lists",
    "a setting that `crs start --help` lists",
    "CRS_LOG_LEVEL, if that is meant",
    "--log-level, if that is meant",
    "a setting that `crs start --help` lists",
  ]);
});

test("resolveConfig reads units of bytes and time", () => {
  const config = resolveConfig({
    flags: { memoryBytesMax: "512MiB", drainMs: "2m", renewalGraceMs: "36h" },
    environment: { CRS_LOG_BYTES_SOFT: "65536KiB", CRS_REQUEST_TIMEOUT_MS: "250ms" },
    file: file({ logBytesHard: "1GiB" }),
  });
  assert.is(config.memoryBytesMax, 512 * 1024 * 1024);
  assert.is(config.drainMs, 120_000);
  assert.is(config.renewalGraceMs, 129_600_000);
  assert.is(config.logBytesSoft, 64 * 1024 * 1024);
  assert.is(config.requestTimeoutMs, 250);
  assert.is(config.logBytesHard, 1024 * 1024 * 1024);
  for (const bad of ["1e3", "0x10", "-1", " 5", "5 s", "5h", "1.5s", "99999999999999999"]) {
    assert.is(mistakesOf({ flags: { drainMs: bad } }).length, 1, bad);
  }
});

test("resolveConfig takes the bounds of each number and refuses one beyond", () => {
  for (const key of SETTING_KEYS) {
    const setting: Setting = SETTINGS[key];
    if (setting.kind !== "integer" && setting.kind !== "bytes" && setting.kind !== "milliseconds") {
      continue;
    }
    const beyond = [setting.min - 1, setting.max + 1, setting.max + 0.5, NaN, Infinity];
    for (const value of beyond) {
      assert.ok(mistakesOf({ flags: { [key]: value } }).length >= 1, `${key} ${value}`);
    }
    if (key === "logBytesHard" || key === "logBytesSoft") continue;
    for (const value of [setting.min, setting.max]) {
      assert.is(resolveConfig({ flags: { [key]: value }, environment: {} })[key], value);
    }
  }
});

test("resolveConfig wants the hard limit of the log above the soft one", () => {
  const mistakes = mistakesOf({ flags: { logBytesSoft: "256MiB", logBytesHard: "128MiB" } });
  assert.is(mistakes.length, 1);
  assert.match(mistakes[0]!, /^--log-bytes-hard: found 134217728, wanted more than logBytesSoft/);
});

test("resolveConfig wants an authority where clients may come by TLS", () => {
  const mistakes = mistakesOf({ flags: { tls: "on" } });
  assert.is(mistakes.length, 1);
  assert.match(mistakes[0]!, /^--tls: found on, wanted off, or an authority/);
  assert.is(resolveConfig({ flags: { tls: "on", authority: "a" }, environment: {} }).tls, "on");
});

test("resolveConfig wants a JSON object in the file", () => {
  for (const value of [null, [], "x", 4]) {
    assert.match(mistakesOf({ file: file(value) })[0]!, /^file crs.json: .* wanted a JSON object/);
  }
});

test("loadConfig reads the file of --config before that of CRS_CONFIG", async () => {
  const folder = await Deno.makeTempDir();
  try {
    Deno.writeTextFileSync(`${folder}/a.json`, '{"port": 1}');
    Deno.writeTextFileSync(`${folder}/b.json`, '{"port": 2}');
    const environment = { CRS_CONFIG: `${folder}/b.json` };
    assert.is(loadConfig({ flags: { config: `${folder}/a.json` }, environment }).port, 1);
    assert.is(loadConfig({ flags: {}, environment }).port, 2);
    assert.is(loadConfig({ flags: {}, environment: {} }).port, 4443);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("loadConfig lists what is wrong with the file beside the other mistakes", async () => {
  const folder = await Deno.makeTempDir();
  try {
    Deno.writeTextFileSync(`${folder}/broken.json`, "{");
    Deno.writeTextFileSync(`${folder}/large.json`, " ".repeat(70_000) + "{}");
    for (const name of ["broken.json", "large.json", "missing.json", ""]) {
      const path = `${folder}/${name}`;
      const error = refusalOf(() =>
        loadConfig({ flags: { config: path }, environment: { CRS_PORT: "x" } })
      );
      assert.match(error.message, /has 2 mistakes/);
      assert.ok(error.message.includes(`file ${path}: found `), error.message);
      assert.match(error.message, /CRS_PORT/);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("flagOf and variableOf name each setting once and by rule", () => {
  assert.is(flagOf("memoryBytesMax"), "--memory-bytes-max");
  assert.is(variableOf("memoryBytesMax"), "CRS_MEMORY_BYTES_MAX");
  assert.is(new Set(SETTING_KEYS.map(flagOf)).size, SETTING_KEYS.length);
  assert.is(new Set(SETTING_KEYS.map(variableOf)).size, SETTING_KEYS.length);
  for (const key of SETTING_KEYS) {
    assert.ok(SETTINGS[key].description.length > 10, key);
    assert.ok(wantedOf(SETTINGS[key]).length > 5, key);
  }
});

test("resolveConfig opsHost takes any literal address, and no name but localhost", () => {
  const at = (opsHost: string) => () => resolveConfig({ flags: { opsHost }, environment: {} });
  for (const host of ["127.0.0.1", "localhost", "0.0.0.0", "::", "192.0.2.1"]) {
    assert.is(at(host)().opsHost, host);
  }
  assert.match(refusalOf(at("node-1.example")).message, /--ops-host: .*literal address/);
});

test("http is an address to listen on, so that port 0 is one too", () => {
  for (const http of ["127.0.0.1:9402", "127.0.0.1:0", "localhost:80", "[::1]:0"]) {
    const environment = { CRS_HTTP: http };
    assert.is(resolveConfig({ flags: {}, environment }).http, http);
  }
  for (const http of ["9402", "127.0.0.1", "127.0.0.1:65536", "::1:80", ":80"]) {
    assert.is(mistakesOf({ environment: { CRS_HTTP: http } }).length, 1, http);
  }
});

test.run();
