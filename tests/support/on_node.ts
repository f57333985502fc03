/**
 * Runs a file of the project on any version of Node: its types are first stripped into a folder of
 * the project, because only newer versions accept them. For results that must be equal on both
 * runtimes.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const IMPORTS = /(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g;

/**
 * Returns the output of `node` for the module at `entry`, with `env` added. Tests that call it are
 * registered by `testWith(NODE)`.
 *
 * @throws Error if it exits with a code other than 0.
 */
export async function runOnNode(entry: URL, env: Record<string, string>): Promise<string> {
  mkdirSync(join(ROOT, "tmp"), { recursive: true });
  // Inside the project, so that packages are resolved as from the sources.
  const folder = mkdtempSync(join(ROOT, "tmp", "on_node_"));
  try {
    const main = stripTypes(fileURLToPath(entry), folder, new Set());
    const { success, stdout, stderr } = await new Deno.Command("node", {
      args: ["--no-warnings", main],
      env,
      stdin: "null",
    }).output();
    if (!success) throw new Error(`node failed: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes the JavaScript of a file and of all its imports; returns the path of the file's own. */
function stripTypes(path: string, folder: string, done: Set<string>): string {
  const target = join(folder, relative(ROOT, path)).replace(/\.ts$/, ".js");
  if (done.has(path)) return target;
  done.add(path);
  const source = readFileSync(path, "utf8");
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  });
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, outputText);
  for (const [, specifier] of source.matchAll(IMPORTS)) {
    const imported = resolve(dirname(path), specifier!);
    if (existsSync(imported)) stripTypes(imported, folder, done);
  }
  return target;
}
