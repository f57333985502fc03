/**
 * The tool that checks schemas/proto, on copies of it: buf's linter, and the comparison with the published
 * version. And what of the protos is a part of the package.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RELEASE, Release } from "../../support/release.ts";
import { allOf, program, testWith } from "../../support/requirement.ts";
import { inTemporaryFolder } from "../../support/temporary_folder.ts";

const ROOT = decodeURIComponent(new URL("../../../", import.meta.url).pathname);
const RECORDS = "schemas/proto/crs/v1/records.proto";
const RELAYS = "schemas/proto/aeroarc/registry/v1/registry.proto";
const PUBLISHED = "schemas/proto/published";
const EXIT_REFUSED = 2;
/** As schemas/generator/protobuf.ts runs it. */
const BUF = ["-p", "@bufbuild/buf@1.75.0"];
const BUILD = "buf build --as-file-descriptor-set --exclude-source-info";
const npxTest = testWith(program("npx", "npm"));
const releaseTest = testWith(allOf(RELEASE, program("npx", "npm")));

/** The version with which the protos are compared. */
const [version] = Array.from(
  Deno.readDirSync(`${ROOT}${PUBLISHED}`),
  ({ name }) => name.replace(/\.binpb$/, ""),
);

/** Copies a folder. */
function copy(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory) copy(`${from}/${name}`, `${to}/${name}`);
    else Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}

/** Returns what the tool says of a copy in which a text of a file was replaced. */
function checked(folder: string, file: string, [before, after]: readonly [string, string]) {
  copy(`${ROOT}schemas/proto`, `${folder}/schemas/proto`);
  Deno.mkdirSync(`${folder}/schemas/generator`);
  for (const path of ["deno.json", "schemas/generator/protobuf.ts"]) {
    Deno.copyFileSync(`${ROOT}${path}`, `${folder}/${path}`);
  }
  const text = Deno.readTextFileSync(`${folder}/${file}`);
  assert.ok(text.includes(before), `${file} has no ${before}`);
  Deno.writeTextFileSync(`${folder}/${file}`, text.replace(before, after));
  const { code, stderr } = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", `${folder}/schemas/generator/protobuf.ts`, "--check"],
    stdin: "null",
  }).outputSync();
  return { code, said: new TextDecoder().decode(stderr) };
}

/** Registers a test of a change of a file that is refused. */
function refused(
  name: string,
  file: string,
  change: readonly [string, string],
  said: RegExp,
): void {
  npxTest(`buf refuses ${name}`, () =>
    inTemporaryFolder((folder) => {
      const found = checked(folder, file, change);
      assert.match(found.said, said);
      assert.is(found.code, EXIT_REFUSED);
      return Promise.resolve();
    }));
}

refused(
  `a field that has another name than in version ${version}`,
  RELAYS,
  ["string address = 2;", "string host = 2;"],
  /registry\.proto.*changed name from "address" to "host"/,
);
refused(
  `a method that is gone since version ${version}`,
  RELAYS,
  ["  rpc ListRelays(ListRelaysRequest) returns (ListRelaysResponse);\n", ""],
  /RPC "ListRelays" on service "AeroRegistry" was deleted/,
);
refused(
  "a field without a comment",
  RECORDS,
  [
    "  // Set by the registry: position of the last change.\n  Position revision = 12;",
    "  Position revision = 12;",
  ],
  /Field "revision" should have a non-empty comment/,
);
refused(
  "a name that is not in the usual spelling",
  RECORDS,
  ["RECORD_KIND_AGENT = 1;", "agent = 1;"],
  /should be UPPER_SNAKE_CASE/,
);

npxTest("buf accepts a new field", () =>
  inTemporaryFolder((folder) => {
    const more = "  // New.\n  string more = 99;\n";
    const before = "  // UUID of the gateway that it is attached to; empty for none.\n";
    const { code, said } = checked(folder, RECORDS, [before, more + before]);
    // The code that is generated is out of date then, which is another exit code.
    assert.equal([code, said.includes("records_pb.ts is out of date")], [1, true], said);
    return Promise.resolve();
  }));

releaseTest(`the published protos are those of the release, version ${version}`, async (commit) => {
  const release = await Release.open(commit);
  try {
    const { version: released } = JSON.parse(Deno.readTextFileSync(`${release.folder}/deno.json`));
    assert.is(version, released, "deno task generate --publish is a part of a release");
    const built = `${release.folder}/${released}.binpb`;
    const { success, stderr } = await new Deno.Command("npx", {
      args: ["-y", "--loglevel", "error", ...BUF, "-c", `${BUILD} -o ${built}`],
      cwd: `${release.folder}/schemas/proto`,
      stdin: "null",
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    assert.equal(
      Deno.readFileSync(`${ROOT}${PUBLISHED}/${version}.binpb`),
      Deno.readFileSync(built),
    );
  } finally {
    await release.remove();
  }
});

test("Deno finds the service under the name that Node.js has for it", () => {
  const { exports } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const file = "gen/crs/v1/registry_pb.ts";
  assert.equal(exports[`./proto/${file}`], `./schemas/proto/${file}`);
  assert.ok(Deno.statSync(`${ROOT}schemas/proto/${file}`).isFile);
});

npxTest("the package has the protos, and exports them", async () => {
  const { exports } = JSON.parse(Deno.readTextFileSync(`${ROOT}package.json`));
  assert.is(exports["./proto/*"], "./schemas/proto/*");
  const { success, stdout } = await new Deno.Command("npm", {
    args: ["pack", "--dry-run", "--json", "--ignore-scripts"],
    cwd: ROOT,
    stdin: "null",
    stderr: "null",
  }).output();
  assert.ok(success, "npm pack failed");
  // A list of packages up to npm 11, and an object of them by name since.
  const [{ files }] = Object.values<{ readonly files: unknown }>(
    JSON.parse(new TextDecoder().decode(stdout)),
  ) as [{ readonly files: unknown }];
  const packed = new Set((files as readonly { readonly path: string }[]).map(({ path }) => path));
  for (const name of ["governed", "identity", "node", "records", "registry", "watch"]) {
    assert.ok(packed.has(`schemas/proto/crs/v1/${name}.proto`), name);
  }
  for (const path of ["mod.ts", "src/cli/main.ts", "schemas/proto/gen/crs/v1/registry_pb.ts"]) {
    assert.ok(packed.has(path), path);
  }
  assert.not([...packed].some((path) => path.startsWith("tests/")), "Tests are not for users");
});

test.run();
