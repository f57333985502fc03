/**
 * Runs a file of the house on Node, whatever version is there: its types are stripped into a folder
 * of the project first, as only newer versions take them as they are. For what must come out alike
 * on both runtimes.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const IMPORTS = /(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g;

/**
 * Returns what `node` prints for the module at `entry`, with `env` added. Tests that call it are
 * registered by `testWith(NODE)`.
 *
 * @throws Error where it exits with another code than 0.
 */
export async function runOnNode(entry: URL, env: Record<string, string>): Promise<string> {
  mkdirSync(join(ROOT, "tmp"), { recursive: true });
  // Inside the project, so that packages are found as they are from the sources.
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

/** Writes the JavaScript of a file and of all that it imports; returns where its own stands. */
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
