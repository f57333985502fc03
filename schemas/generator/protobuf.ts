/**
 * The second half of `deno task generate`: checks schemas/proto with buf's linter, and for changes that
 * would break clients of the published version, and writes schemas/proto/gen with protoc-gen-es. With
 * `--go` it writes tests/interop/go/gen instead, with plugins that it runs by Go. With `--check` it writes
 * nothing and exits with 1 when a file is out of date. Exits with 3 when npx is missing, and with 2 when buf
 * refuses a file. A tool: no module of the registry imports it.
 *
 * The published version is the set of file descriptors in schemas/proto/published, whose name is its
 * version. `--publish` replaces it with what is there now, at a release.
 */
const EXIT_OUT_OF_DATE = 1;
const EXIT_REFUSED = 2;
const EXIT_NO_NPX = 3;
const PACKAGES = ["@bufbuild/buf@1.75.0", "@bufbuild/protoc-gen-es@2.17.0"];
const PUBLISHED = "published";

/** Code that buf generates. */
interface Output {
  readonly template: string;
  /** The folder of the code, which has no other files. */
  readonly folder: string;
  /** The command that writes it. */
  readonly remedy: string;
}

const TYPESCRIPT: Output = {
  template: "buf.gen.yaml",
  folder: "schemas/proto/gen",
  remedy: "deno task generate",
};
const GO: Output = {
  template: "buf.gen.go.yaml",
  folder: "tests/interop/go/gen",
  remedy: "deno run -A schemas/generator/protobuf.ts --go",
};

const root = new URL("../../", import.meta.url);

function fail(message: string, exitCode: number): never {
  console.error(`generate: ${message}`);
  Deno.exit(exitCode);
}

/** Runs a shell command with buf in its path, in the folder of the protos. */
function withBuf(command: string): void {
  const args = [...PACKAGES.flatMap((name) => ["-p", name]), "-c", command];
  try {
    const { success, stdout, stderr } = new Deno.Command("npx", {
      args: ["-y", "--loglevel", "error", ...args],
      cwd: new URL("schemas/proto/", root),
    }).outputSync();
    if (success) return;
    const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
    fail(`buf refuses the files of schemas/proto:\n${said.trim()}`, EXIT_REFUSED);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    fail("the program npx is missing; Debian's package npm brings it", EXIT_NO_NPX);
  }
}

/** Returns the files of a folder by their paths in it. */
function filesIn(folder: string, below = ""): Map<string, string> {
  const files = new Map<string, string>();
  for (const { name, isDirectory } of Deno.readDirSync(`${folder}/${below}`)) {
    const path = below + name;
    if (!isDirectory) files.set(path, Deno.readTextFileSync(`${folder}/${path}`));
    else for (const [inner, text] of filesIn(folder, `${path}/`)) files.set(inner, text);
  }
  return files;
}

/** Returns the published version, as a path in the folder of the protos. */
function published(): string {
  const names = Array.from(
    Deno.readDirSync(new URL(`schemas/proto/${PUBLISHED}`, root)),
    ({ name }) => name,
  );
  if (names.length !== 1) {
    fail(`${PUBLISHED} must have one file: it has ${names.length}`, EXIT_REFUSED);
  }
  return `${PUBLISHED}/${names[0]}`;
}

/** Replaces the published version with what is there now. */
function publish(): void {
  const { version } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root))) as {
    readonly version: string;
  };
  const path = `${PUBLISHED}/${version}.binpb`;
  withBuf(
    `buf lint && rm -rf ${PUBLISHED} && mkdir ${PUBLISHED} && ` +
      `buf build --as-file-descriptor-set --exclude-source-info -o ${path}`,
  );
  console.log(`The protos are published as version ${version}`);
}

function main(): void {
  if (Deno.args.includes("--publish")) return publish();
  const { template, folder, remedy } = Deno.args.includes("--go") ? GO : TYPESCRIPT;
  const checks = `buf lint && buf breaking --against ${published()}`;
  const generate = `buf generate --template ${template}`;
  if (!Deno.args.includes("--check")) {
    return withBuf(`${checks} && rm -rf ../../${folder} && ${generate}`);
  }
  const fresh = Deno.makeTempDirSync();
  try {
    // Paths in a template are relative to the folder of the protos.
    withBuf(`${checks} && ${generate} --output ${fresh}/schemas/proto`);
    const [wanted, found] = [
      filesIn(`${fresh}/${folder}`),
      filesIn(new URL(folder, root).pathname),
    ];
    const stale = [...new Set([...wanted.keys(), ...found.keys()])].sort()
      .filter((path) => wanted.get(path) !== found.get(path));
    for (const path of stale) console.error(`generate: ${folder}/${path} is out of date`);
    if (stale.length === 0) return;
    console.error(`generate: run \`${remedy}\``);
  } finally {
    Deno.removeSync(fresh, { recursive: true });
  }
  Deno.exit(EXIT_OUT_OF_DATE);
}

main();
