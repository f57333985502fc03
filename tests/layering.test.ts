/**
 * The table of layers of the project, checked against all of its sources; and the checker itself,
 * checked against small projects that break one rule each, because a checker that cannot fail
 * proves nothing.
 *
 * A new folder gets a line here. Layers (floors): a file imports from its own folder and from lower
 * floors; `import type` counts. F0 to F2 are pure. See tests/layering/check.ts for each rule.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { FloorTable, Folder } from "./layering/check.ts";
import { checkLayering } from "./layering/check.ts";

const pure = (path: string, floor: number): Folder => ({ path, floor, npm: [], pure: true });
const simulated = (path: string, floor: number, npm: readonly string[]): Folder => ({
  path,
  floor,
  npm,
  simulated: true,
});

const TABLE: FloorTable = {
  folders: [
    pure("src/base", 0),
    // F0 has two steps: generated codecs refuse with the codes and limits of base.
    pure("schemas", 0.5),
    // Code that protoc-gen-es generates.
    { ...pure("schemas/proto", 0.5), npm: ["@bufbuild/protobuf"] },
    {
      ...pure("src/signing", 1),
      npm: ["@noble/ed25519", "@noble/hashes", "canonicalize"],
    },
    pure("src/record", 1),
    pure("src/ring", 1),
    pure("src/raft", 1),
    pure("src/liveness", 1),
    pure("src/store", 2),
    // The audit log is chained by SHA-256 in apply, synchronously and equally on every replica.
    { ...pure("src/system", 2), npm: ["@noble/hashes"] },
    { ...pure("src/governance", 2), npm: ["@noble/hashes"] },
    pure("src/wire", 2),
    pure("src/wal", 2),
    simulated("src/storage", 3, []),
    simulated("transport", 3, ["@fails-components/webtransport"]),
    simulated("identity", 3, [
      "@noble/hashes",
      "@peculiar/asn1-schema",
      "@peculiar/x509",
      "asn1js",
      "canonicalize",
      "jose",
      "reflect-metadata",
    ]),
    { ...simulated("src/client", 4, ["@noble/hashes"]), portable: true },
    // One interface for all code that serves: replication of a group is hidden from other folders.
    { ...simulated("src/replication", 4, []), doors: { "src/serving": ["group_interface.ts"] } },
    simulated("src/serving", 5, []),
    // Answers of the SDK as JSON documents, for the command line and for HTTP.
    simulated("src/answers", 5, []),
    simulated("src/relay", 5, ["ioredis"]),
    simulated("src/region", 6, []),
    // Parts that the HTTP and the gRPC face of a front share.
    simulated("src/faces", 6, []),
    simulated("src/node", 7, ["pino", "prom-client"]),
    simulated("src/http", 7, ["hono", "prom-client", "zod"]),
    simulated("src/grpc", 7, ["@bufbuild/protobuf", "prom-client"]),
    simulated("src/front", 8, []),
    simulated("src/backup", 8, []),
    { path: "src/cli", floor: 9, npm: ["commander", "pino", "string-width"] },
    { path: ".", floor: 10, npm: [] },
    // The generator is a tool: only tests may import it.
    { path: "schemas/generator", floor: 11, npm: ["capnp-es"] },
    // Pages generated from the code are created by a tool, too.
    { path: "docs", floor: 11, npm: [] },
    { path: "bench", floor: 12, npm: "*", startsItself: true },
    { path: "tests", floor: 13, npm: "*", startsItself: true },
  ],
  entries: [
    "mod.ts",
    "src/cli/main.ts",
    "schemas/generator/main.ts",
    "schemas/generator/protobuf.ts",
    "docs/generate.ts",
  ],
  worlds: ["src/node/process_world.ts"],
  lengths: { fileLinesMax: 450, functionLinesMax: 70 },
  generated: ["schemas/gen", "schemas/proto/gen"],
  longer: {
    "src/node/metrics.ts#stateFamilies": "a table of metrics",
    "src/serving/handlers/identities.ts#identityHandlers": "a table of handlers",
    "src/ring/siphash.ts#hash": "the rounds are written out: it is on the read path",
  },
  sharedNames: {},
};

/** Folders of the root that contain no sources of the project. */
const NO_SOURCES = new Set(["node_modules", "cluster", "data", "tmp"]);

async function readSources(root: URL, folder = ""): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  for await (const entry of Deno.readDir(new URL(folder, root))) {
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory && !(folder === "" && NO_SOURCES.has(entry.name))) {
      for (const [path, text] of await readSources(root, `${folder}${entry.name}/`)) {
        sources.set(path, text);
      }
    } else if (entry.isFile && /\.[cm]?[jt]sx?$/.test(entry.name)) {
      const path = folder + entry.name;
      sources.set(path, await Deno.readTextFile(new URL(path, root)));
    }
  }
  return sources;
}

test("layering holds for every source of the project", async () => {
  const breaches = checkLayering(await readSources(new URL("../", import.meta.url)), TABLE);
  for (const { path, line, message } of breaches) console.log(`${path}:${line} ${message}`);
  assert.is(breaches.length, 0, "The breaches of the layering rules are listed above");
});

// The checker against small projects. Each starts from a valid one and breaks one rule.

const SOUND: Readonly<Record<string, string>> = {
  "mod.ts": 'export { a } from "./src/node/a.ts";',
  "src/cli/main.ts": 'import { a } from "../node/a.ts"; a;',
  "schemas/generator/main.ts": "export {};",
  "src/node/a.ts": 'import { b } from "../base/b.ts"; import "../client/c.ts"; export const a = b;',
  "src/base/b.ts": "export const b = 1;",
  "src/client/c.ts": 'import type { T } from "../../transport/t.ts"; export type C = T;',
  "transport/t.ts": 'import "node:fs"; export type T = Deno.Conn;',
  "tests/unit/a.test.ts": 'import { test } from "uvu"; test("a", () => {}); test.run();',
};
const SMALL: FloorTable = {
  folders: TABLE.folders,
  entries: ["mod.ts", "src/cli/main.ts", "schemas/generator/main.ts"],
  worlds: ["src/node/world.ts"],
  lengths: { fileLinesMax: 5, functionLinesMax: 3 },
  generated: ["schemas/gen"],
  longer: {},
  sharedNames: {},
};

/** Returns the breaches of the valid project with some files replaced or added, as `rule path`. */
function breachesWith(changes: Record<string, string>): string[] {
  const files = new Map(Object.entries({ ...SOUND, ...changes }));
  return checkLayering(files, SMALL).map(({ rule, path }) => `${rule} ${path}`);
}

/** Adds `source` to a reachable file of a pure folder. */
function pureWith(source: string): string[] {
  return breachesWith({ "src/base/b.ts": `export const b = 1; ${source}` });
}

test("checkLayering finds nothing in a sound project", () => {
  assert.equal(breachesWith({}), []);
});

test("checkLayering refuses a file outside the table", () => {
  assert.equal(breachesWith({ "extra/x.ts": "export {};" }), ["folder extra/x.ts"]);
  assert.equal(breachesWith({ "src/x.ts": "export {};" }), ["folder src/x.ts"]);
});

test("checkLayering refuses an import from a higher floor, in every form", () => {
  const forms = [
    'import { x } from "../node/x.ts"; x;',
    'import "../node/x.ts";',
    'import type { X } from "../node/x.ts"; export type Y = X;',
    'export { x } from "../node/x.ts";',
    'export * from "../node/x.ts";',
    'export type Z = import("../node/x.ts").X;',
    'export const later = () => import("../node/x.ts");',
    'export const url = new URL("../node/x.ts", import.meta.url);',
    'import {\n  x,\n} // a comment between\n  from "../node/x.ts"; x;',
  ];
  for (const form of forms) {
    const changes = {
      "src/client/c.ts":
        `import type { T } from "../../transport/t.ts"; export type U = T; ${form}`,
      "src/node/x.ts": "export const x = 1;",
    };
    assert.equal(breachesWith(changes), ["floor src/client/c.ts"], form);
  }
});

test("checkLayering refuses an import between folders of one floor", () => {
  const changes = { "transport/t.ts": 'import "../identity/i.ts";', "identity/i.ts": "export {};" };
  assert.equal(breachesWith({ ...changes, "src/client/c.ts": 'import "../../transport/t.ts";' }), [
    "floor transport/t.ts",
  ]);
});

test("checkLayering lets nobody but tests import the generator", () => {
  const use = 'import "../../schemas/generator/main.ts";';
  assert.equal(breachesWith({ "src/cli/main.ts": `${use} import "../node/a.ts";` }), [
    "floor src/cli/main.ts",
  ]);
  const unit = `import { test } from "uvu"; ${use} test.run();`;
  assert.equal(breachesWith({ "tests/unit/a.test.ts": unit }), []);
});

test("checkLayering lets nobody import tests or bench", () => {
  const changes = { "bench/x.ts": 'import "../tests/y.ts";', "tests/y.ts": "export {};" };
  assert.equal(breachesWith(changes), ["floor bench/x.ts"]);
});

test("checkLayering does not take comments and strings for imports", () => {
  assert.equal(pureWith('// import "../node/a.ts"\nexport const s = `import "../node/a.ts"`;'), []);
});

test("checkLayering refuses an import that leads nowhere or is computed", () => {
  assert.equal(pureWith('import "./missing.ts";'), ["import src/base/b.ts"]);
  assert.equal(pureWith("export const f = (name: string) => import(name);"), [
    "import src/base/b.ts",
  ]);
});

test("checkLayering refuses a circle between files, types included", () => {
  const changes = {
    "src/base/b.ts": 'import type { D } from "./d.ts"; export const b: D = 1;',
    "src/base/d.ts": 'export type { E } from "./e.ts"; export type D = number;',
    "src/base/e.ts": 'import { b } from "./b.ts"; export type E = typeof b;',
  };
  assert.equal(breachesWith(changes), ["circle src/base/b.ts"]);
});

test("checkLayering refuses a dead file and a missing entry", () => {
  assert.equal(breachesWith({ "src/base/unused.ts": "export {};" }), ["dead src/base/unused.ts"]);
  const files = new Map(Object.entries(SOUND));
  files.delete("schemas/generator/main.ts");
  assert.equal(checkLayering(files, SMALL).map(({ rule, path }) => `${rule} ${path}`), [
    "dead schemas/generator/main.ts",
  ]);
});

test("checkLayering refuses what is not pure below F3", () => {
  const impure = [
    "export const now = () => Date.now();",
    "export const now = () => performance.now();",
    "export const key = () => crypto.randomUUID();",
    "export const x = () => Math.random();",
    'export const x = () => Math["random"]();',
    "const { random } = Math; export const x = random;",
    "export const pid = () => Deno.pid;",
    "export const pid = () => process.pid;",
    "export const x = () => globalThis;",
    "setTimeout(() => {}, 1);",
    "queueMicrotask(() => {});",
    "export type Later = Promise<void>;",
    'import "node:fs";',
    "console.log(1);",
  ];
  for (const source of impure) {
    assert.equal(pureWith(source), ["pure src/base/b.ts"], source);
  }
  const asynchronous = pureWith("export async function f() { for await (const x of []) x; }");
  assert.equal(asynchronous, ["pure src/base/b.ts", "pure src/base/b.ts"]);
});

test("checkLayering takes members, comments and own variables for nothing impure", () => {
  assert.equal(
    pureWith(
      "// Date.now() and await\nexport interface W { Date: 1; performance(): void; await: 1 }\n" +
        'export const f = (w: W, process: number) => [w.Date, w.performance(), process, "Deno"];' +
        "export const g = Math.max(1, 2); export const o = { crypto: 1, console: 2 };",
    ),
    [],
  );
});

test("checkLayering refuses the machine's clocks, timers and chance above F2, but for the world", () => {
  const worldly = [
    "setTimeout(() => {}, 1);",
    "export const f = () => performance.now();",
    "export const f = () => Date.now();",
    "export const f = () => new Date();",
    "export const f = () => Math.random();",
  ];
  const node = SOUND["src/node/a.ts"]!;
  for (const source of worldly) {
    assert.equal(breachesWith({ "src/node/a.ts": `${node} ${source}` }), ["world src/node/a.ts"]);
    const changes = {
      "src/node/a.ts": `${node} import "./world.ts";`,
      "src/node/world.ts": source,
    };
    assert.equal(breachesWith(changes), [], source);
  }
  const dates = 'export const f = (ms: number) => [new Date(ms), Date.parse("2026")];';
  assert.equal(breachesWith({ "src/node/a.ts": `${node} ${dates}` }), []);
});

test("checkLayering refuses imports that pass by a folder's door", () => {
  const folders = SMALL.folders.map((folder) =>
    folder.path === "transport" ? { ...folder, doors: { "src/client": ["t.ts"] } } : folder
  );
  const breaches = (client: string) =>
    checkLayering(
      new Map(
        Object.entries({ ...SOUND, "transport/u.ts": "export {};", "src/client/c.ts": client }),
      ),
      { ...SMALL, folders },
    ).filter(({ rule }) => rule === "floor").map(({ path }) => path);
  assert.equal(breaches('import "../../transport/t.ts";'), []);
  assert.equal(breaches('import "../../transport/u.ts";'), ["src/client/c.ts"]);
});

test("checkLayering refuses long production files and functions that its table does not except", () => {
  const long = `export const b = 1;${"\n//".repeat(5)}\n`;
  assert.equal(breachesWith({ "src/base/b.ts": long }), ["length src/base/b.ts"]);
  const bodies = [
    "export function f() {\n//\n//\n}",
    "export class D { m() {\n//\n//\n} }",
    "export const f = () => {\n//\n//\n};",
  ];
  for (const body of bodies) assert.equal(pureWith(body), ["length src/base/b.ts"], body);
  assert.equal(pureWith("export interface I {\n//\n//\nf(): void }"), []);
  const importing = 'import "../../schemas/gen/g.ts"; import "../node/a.ts";';
  assert.equal(breachesWith({ "schemas/gen/g.ts": long, "src/cli/main.ts": importing }), []);
  assert.equal(breachesWith({ "tests/support/long.ts": long }), []);
  const excepted = (b: string) => {
    const longer = { "src/base/b.ts": "reason", "src/base/b.ts#f": "reason" };
    const files = new Map(Object.entries({ ...SOUND, "src/base/b.ts": b }));
    return checkLayering(files, { ...SMALL, longer }).map(({ rule, path }) => `${rule} ${path}`);
  };
  assert.equal(excepted(`${long}${bodies[0]}\n`), []);
  assert.equal(excepted(long), ["length src/base/b.ts"], "The function's exception is not needed");
});

test("checkLayering refuses types of one name in two production files that its table does not except", () => {
  const typed = (declaration: string) => ({
    "src/base/b.ts": "export const b = 1; export interface Same {}",
    "src/client/c.ts": `${SOUND["src/client/c.ts"]} ${declaration}`,
  });
  const declarations = [
    "export class Same {}",
    "export abstract class Same {}",
    "export interface Same {}",
    "export type Same = 1;",
  ];
  for (const declaration of declarations) {
    assert.equal(breachesWith(typed(declaration)), ["name src/client/c.ts"], declaration);
  }
  assert.equal(breachesWith(typed("interface Same {}")), []);
  assert.equal(breachesWith(typed('export type { Same } from "../base/b.ts";')), []);
  assert.equal(breachesWith(typed("export type Same<T> = T; export class Other {}")), [
    "name src/client/c.ts",
  ]);
  const inTests = { ...typed(""), "tests/support/s.ts": "export class Same {}" };
  assert.equal(breachesWith(inTests), []);
  const excepted = (declaration: string) => {
    const files = new Map(Object.entries({ ...SOUND, ...typed(declaration) }));
    const table = { ...SMALL, sharedNames: { Same: "reason" } };
    return checkLayering(files, table).map(({ rule, path }) => `${rule} ${path}`);
  };
  assert.equal(excepted("export class Same {}"), []);
  assert.equal(excepted(""), ["name src/base/b.ts"], "The exception is not needed");
});

test("checkLayering refuses npm packages beyond a folder's own", () => {
  assert.equal(pureWith('import "pino";'), ["npm src/base/b.ts"]);
  assert.equal(pureWith('import "@peculiar/x509";'), ["npm src/base/b.ts"]);
  const node = `${SOUND["src/node/a.ts"]} import "pino"; import "prom-client/sub";`;
  assert.equal(breachesWith({ "src/node/a.ts": node }), []);
  assert.equal(breachesWith({ "src/node/a.ts": `${node} import "npm:pino@1";` }), [
    "npm src/node/a.ts",
  ]);
});

test("checkLayering refuses what a browser lacks in all that the SDK loads", () => {
  assert.equal(breachesWith({ "src/client/c.ts": 'import "node:net";' }).slice(0, 1), [
    "portable src/client/c.ts",
  ]);
  assert.ok(breachesWith({ "src/client/c.ts": "Deno.pid;" }).includes("portable src/client/c.ts"));
  // Through another folder: a value import loads it, a type import does not.
  const loads = 'import { t } from "../../transport/t.ts"; t;';
  assert.equal(breachesWith({ "src/client/c.ts": loads }), [
    "portable transport/t.ts",
    "portable transport/t.ts",
  ]);
});

test("checkLayering refuses tests that would not run", () => {
  const head = 'import { suite, test } from "uvu";';
  const sound = `${head} const s = suite("s"); s("a", () => {}); s.run(); test.run();`;
  assert.equal(breachesWith({ "tests/a.test.ts": sound }), []);
  const broken = [
    `${head} test("a", () => {});`,
    `${head} test("a", () => {}); // test.run();`,
    `${head} const s = suite("s"); s("a", () => {}); test.run();`,
    `${head} test.run(); test("late", () => {});`,
    `${head} test.only("a", () => {}); test.run();`,
    `Deno.test("a", () => {});`,
    `${head} test.skip("a", () => {}); test.run();`,
    `${head} test("a", () => { console.log("skipped: no capnp"); }); test.run();`,
    `${head} test("a", () => { console.log(\`skipped: no \${1}\`); }); test.run();`,
    `${head} const capnpTest = testWith(CAPNP); test.run(); capnpTest("late", () => {});`,
    `const capnpTest = testWith(CAPNP); capnpTest("a", () => {});`,
  ];
  for (const source of broken) {
    assert.equal(breachesWith({ "tests/a.test.ts": source }), ["test tests/a.test.ts"], source);
  }
  const skip = 'export const skip = () => console.log("skipped: no x");';
  assert.equal(breachesWith({ "tests/support/s.ts": skip }), ["test tests/support/s.ts"]);
  assert.equal(breachesWith({ "tests/support/requirement.ts": skip }), []);
});

test.run();
