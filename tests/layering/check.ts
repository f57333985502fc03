/**
 * The layering rules (ARCHITECTURE.md) as a pure function: a map of sources in, a list of breaches
 * out.
 *
 * A file imports from its own folder and from lower floors; folders on one floor never import each
 * other; there is no cycle between files, no dead file, and nothing outside the table. Pure folders
 * are synchronous and use no clock, timer, randomness or runtime; higher ones get theirs from the
 * constructor, so that a cluster can be simulated. Code that a browser loads with the SDK names
 * neither `node:` nor `Deno`, in any folder.
 */
import type { Import, SourceFacts } from "./source.ts";
import { readSource } from "./source.ts";

/** A folder of the project and the rules for it. */
export interface Folder {
  /** The folder, relative to the root; `"."` is the root itself without its subfolders. */
  readonly path: string;
  readonly floor: number;
  /** npm packages that it may import; `"*"` allows all in package.json. */
  readonly npm: readonly string[] | "*";
  /** True if it must be synchronous and independent of the machine. */
  readonly pure?: boolean;
  /** True if clock, timers and randomness must come from the constructor (src/base/world.ts). */
  readonly simulated?: boolean;
  /** True if everything that it loads must run in a browser too. */
  readonly portable?: boolean;
  /** For folders that may import only some files of this one: the names of these files. */
  readonly doors?: Readonly<Record<string, readonly string[]>>;
  /** True if a file need not be reachable from an entry: tests and benches are started directly. */
  readonly startsItself?: boolean;
}

/** The table of folders to check against. */
export interface FloorTable {
  readonly folders: readonly Folder[];
  /** Files that are run or imported from outside; all others must be reachable from them. */
  readonly entries: readonly string[];
  /** Files that create the production world: only they read the machine's clocks. */
  readonly worlds: readonly string[];
  /** Maximum number of lines of a production file, and of a function in one. */
  readonly lengths: { readonly fileLinesMax: number; readonly functionLinesMax: number };
  /** Folders of generated files, to which these limits do not apply. */
  readonly generated: readonly string[];
  /** Exceptions to them, with their reasons: a path, or a path, `#` and the name of a function. */
  readonly longer: Readonly<Record<string, string>>;
  /** Names that several exported types of production files may have, with their reasons. */
  readonly sharedNames: Readonly<Record<string, string>>;
}

/** A breach: its place and description. */
export interface Breach {
  readonly path: string;
  readonly line: number;
  readonly rule:
    | "folder"
    | "floor"
    | "circle"
    | "dead"
    | "pure"
    | "portable"
    | "world"
    | "npm"
    | "import"
    | "length"
    | "name"
    | "test";
  readonly message: string;
}

/**
 * Globals that a pure folder must not name, even as a local variable, which would mislead readers.
 */
const IMPURE_NAMES = new Set([
  ..."Date performance crypto Deno globalThis Promise Worker WebSocket WebTransport".split(" "),
  ..."setTimeout setInterval setImmediate clearTimeout clearInterval queueMicrotask".split(" "),
  ..."requestAnimationFrame localStorage sessionStorage navigator Bun Intl".split(" "),
]);
/** Globals that are also good names; they count unless the file declares them itself. */
const IMPURE_UNLESS_DECLARED = new Set("process console fetch alert prompt Buffer".split(" "));
/** Clocks and timers that a simulation cannot control. */
const REAL_WORLD_NAMES = new Set("performance setTimeout setInterval setImmediate".split(" "));
/** Globals that a browser lacks. */
const NOT_PORTABLE_NAMES = new Set(["Deno"]);
const NOT_PORTABLE_UNLESS_DECLARED = new Set("process Buffer setImmediate".split(" "));

interface Unit {
  readonly path: string;
  readonly folder: Folder | undefined;
  readonly facts: SourceFacts;
  /** Imports that lead to files of the project. */
  readonly edges: { readonly target: string; readonly via: Import }[];
}

/**
 * Returns all breaches in `files` (path relative to the root → source), ordered by path and line.
 */
export function checkLayering(files: ReadonlyMap<string, string>, table: FloorTable): Breach[] {
  const breaches: Breach[] = [];
  const units = new Map<string, Unit>();
  for (const [path, text] of files) {
    units.set(path, {
      path,
      folder: folderOf(path, table),
      facts: readSource(path, text),
      edges: [],
    });
  }
  for (const unit of units.values()) {
    if (unit.folder === undefined) {
      const message = "belongs to no folder of the floor table in tests/layering.test.ts";
      breaches.push({ path: unit.path, line: 1, rule: "folder", message });
    }
    checkImports(unit, units, breaches);
    if (unit.folder?.pure === true) checkPure(unit, breaches);
    if (unit.folder?.simulated === true && !table.worlds.includes(unit.path)) {
      checkWorld(unit, breaches);
    }
    for (const { name, line } of unit.facts.testMistakes) {
      breaches.push({ path: unit.path, line, rule: "test", message: name });
    }
  }
  checkLengths(units, table, breaches);
  checkTypeNames(units, table, breaches);
  checkPortable(units, breaches);
  checkCircles(units, breaches);
  checkDead(units, table, breaches);
  return breaches.sort((left, right) =>
    left.path < right.path ? -1 : left.path > right.path ? 1 : left.line - right.line
  );
}

/** Returns the entry of a file: the longest folder of the table that contains it. */
export function folderOf(path: string, table: FloorTable): Folder | undefined {
  if (!path.includes("/")) return table.folders.find((folder) => folder.path === ".");
  let best: Folder | undefined;
  for (const folder of table.folders) {
    if (!path.startsWith(`${folder.path}/`)) continue;
    if (best === undefined || folder.path.length > best.path.length) best = folder;
  }
  return best;
}

function resolve(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function checkImports(unit: Unit, units: ReadonlyMap<string, Unit>, breaches: Breach[]): void {
  for (const via of unit.facts.imports) {
    const { specifier, line } = via;
    const report = (rule: Breach["rule"], message: string) =>
      breaches.push({ path: unit.path, line, rule, message });
    if (specifier === undefined) {
      if (unit.folder?.startsItself !== true) report("import", "imports a computed name");
    } else if (specifier.startsWith(".")) {
      const target = resolve(unit.path, specifier);
      if (specifier.endsWith(".json")) continue;
      const found = units.get(target);
      if (found === undefined) {
        report("import", `imports ${specifier}, which is not a file of the project`);
        continue;
      }
      unit.edges.push({ target, via });
      const wrong = floorBreach(unit, found);
      if (wrong !== undefined) report("floor", wrong);
    } else {
      const wrong = packageBreach(unit.folder, specifier);
      if (wrong !== undefined) report(specifier.startsWith("node:") ? "pure" : "npm", wrong);
    }
  }
}

function floorBreach(unit: Unit, target: Unit): string | undefined {
  const [own, other] = [unit.folder, target.folder];
  if (own === undefined || other === undefined || own === other) return undefined;
  const doors = other.doors?.[own.path];
  if (doors !== undefined && !doors.some((name) => target.path === `${other.path}/${name}`)) {
    return `imports ${target.path}: ${own.path} may import only ${
      doors.join(", ")
    } of ${other.path}`;
  }
  if (other.floor < own.floor) return undefined;
  const relation = other.floor === own.floor ? "the same floor" : "a higher floor";
  return `imports ${target.path}: ${own.path} is F${own.floor}, and ${other.path} (F${other.floor}) ` +
    `is on ${relation}`;
}

function packageBreach(folder: Folder | undefined, specifier: string): string | undefined {
  if (specifier.startsWith("node:")) {
    return folder?.pure === true ? `imports ${specifier} in a pure folder` : undefined;
  }
  if (/^[a-z]+:/.test(specifier)) {
    return `imports ${specifier}: name the package bare, its version stands in package.json`;
  }
  const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
  if (folder === undefined || folder.npm === "*" || folder.npm.includes(name)) return undefined;
  return `imports ${name}, which the table does not allow in ${folder.path}`;
}

function checkPure(unit: Unit, breaches: Breach[]): void {
  const { facts } = unit;
  const named = facts.names.filter(({ name }) =>
    IMPURE_NAMES.has(name) || (IMPURE_UNLESS_DECLARED.has(name) && !facts.declared.has(name))
  );
  for (const { name, line } of [...facts.asynchronous, ...facts.mathRandom, ...named]) {
    const message = `uses ${name}, but ${unit.folder!.path} is synchronous and pure`;
    breaches.push({ path: unit.path, line, rule: "pure", message });
  }
}

function checkWorld(unit: Unit, breaches: Breach[]): void {
  const { facts } = unit;
  const named = facts.names.filter(({ name }) =>
    REAL_WORLD_NAMES.has(name) && !facts.declared.has(name)
  );
  for (const { name, line } of [...named, ...facts.mathRandom, ...facts.wallClock]) {
    const message = `uses ${name}: take it from the world that the constructor is given`;
    breaches.push({ path: unit.path, line, rule: "world", message });
  }
}

/** Checks the lengths of production files and functions, and that each exception is needed. */
function checkLengths(
  units: ReadonlyMap<string, Unit>,
  table: FloorTable,
  breaches: Breach[],
): void {
  const { fileLinesMax, functionLinesMax } = table.lengths;
  const unused = new Set(Object.keys(table.longer));
  const report = (place: string, path: string, line: number, message: string) => {
    unused.delete(place);
    if (!(place in table.longer)) breaches.push({ path, line, rule: "length", message });
  };
  for (const { path, folder, facts } of units.values()) {
    if (!isProduction(path, folder, table)) continue;
    if (facts.lineCount > fileLinesMax) {
      const message = `has ${facts.lineCount} lines: a file may have ${fileLinesMax}`;
      report(path, path, fileLinesMax + 1, message);
    }
    for (const { name, line, lineCount } of facts.functions) {
      if (lineCount <= functionLinesMax) continue;
      const message = `${name} has ${lineCount} lines: a function may have ${functionLinesMax}`;
      report(`${path}#${name}`, path, line, message);
    }
  }
  for (const place of unused) {
    const message = `${place} is not longer than allowed: remove its exception`;
    breaches.push({ path: place.split("#")[0]!, line: 1, rule: "length", message });
  }
}

/** Checks that no two production files export types of one name, and that exceptions are needed. */
function checkTypeNames(
  units: ReadonlyMap<string, Unit>,
  table: FloorTable,
  breaches: Breach[],
): void {
  const owners = new Map<string, string>();
  const unused = new Set(Object.keys(table.sharedNames));
  for (const { path, folder, facts } of units.values()) {
    if (!isProduction(path, folder, table)) continue;
    for (const { name, line } of facts.exportedTypes) {
      const owner = owners.get(name);
      owners.set(name, owner ?? path);
      if (owner === undefined || owner === path) continue;
      unused.delete(name);
      if (name in table.sharedNames) continue;
      const message = `exports the type ${name}, as ${owner} does: a name has one meaning`;
      breaches.push({ path, line, rule: "name", message });
    }
  }
  for (const name of unused) {
    const message = `${name} is not a name of several types: remove its exception`;
    breaches.push({ path: owners.get(name) ?? "", line: 1, rule: "name", message });
  }
}

/** Reports whether a file is written by hand and part of the product. */
function isProduction(path: string, folder: Folder | undefined, table: FloorTable): boolean {
  return folder !== undefined && folder.startsItself !== true &&
    !table.generated.some((generated) => path.startsWith(`${generated}/`));
}

/** Follows everything that portable folders load at run time, through any folders. */
function checkPortable(units: ReadonlyMap<string, Unit>, breaches: Breach[]): void {
  const loader = new Map<string, string>();
  const waiting: string[] = [];
  for (const unit of units.values()) {
    if (unit.folder?.portable !== true) continue;
    loader.set(unit.path, unit.path);
    waiting.push(unit.path);
  }
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const unit = units.get(path)!;
    const first = loader.get(path)!;
    const because = first === path ? "" : ` (loaded by ${first})`;
    const report = (name: string, line: number) => {
      const message = `uses ${name}, which a browser does not have${because}`;
      breaches.push({ path: unit.path, line, rule: "portable", message });
    };
    for (const { name, line } of unit.facts.names) {
      const undeclared = NOT_PORTABLE_UNLESS_DECLARED.has(name) && !unit.facts.declared.has(name);
      if (NOT_PORTABLE_NAMES.has(name) || undeclared) report(name, line);
    }
    for (const { specifier, line, typeOnly } of unit.facts.imports) {
      if (!typeOnly && specifier?.startsWith("node:") === true) report(specifier, line);
    }
    for (const { target, via } of unit.edges) {
      if (via.typeOnly || loader.has(target)) continue;
      loader.set(target, first);
      waiting.push(target);
    }
  }
}

/** Reports each import cycle once, by Tarjan's strongly connected components. */
function checkCircles(units: ReadonlyMap<string, Unit>, breaches: Breach[]): void {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();
  const visit = (path: string): void => {
    index.set(path, index.size);
    low.set(path, index.get(path)!);
    stack.push(path);
    onStack.add(path);
    for (const { target } of units.get(path)!.edges) {
      if (!index.has(target)) {
        visit(target);
        low.set(path, Math.min(low.get(path)!, low.get(target)!));
      } else if (onStack.has(target)) {
        low.set(path, Math.min(low.get(path)!, index.get(target)!));
      }
    }
    if (low.get(path) !== index.get(path)) return;
    const members = stack.splice(stack.indexOf(path));
    for (const member of members) onStack.delete(member);
    const self = units.get(path)!.edges.find(({ target }) => target === path);
    if (members.length === 1 && self === undefined) return;
    const first = members.sort()[0]!;
    const message = `stands in a circle of imports: ${members.join(", ")}`;
    breaches.push({ path: first, line: 1, rule: "circle", message });
  };
  for (const path of units.keys()) if (!index.has(path)) visit(path);
}

function checkDead(units: ReadonlyMap<string, Unit>, table: FloorTable, breaches: Breach[]): void {
  const reached = new Set<string>();
  const waiting = [...table.entries];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const unit = units.get(path);
    if (unit === undefined) {
      breaches.push({ path, line: 1, rule: "dead", message: "is an entry, but does not exist" });
    } else if (!reached.has(path)) {
      reached.add(path);
      for (const { target } of unit.edges) waiting.push(target);
    }
  }
  for (const unit of units.values()) {
    if (reached.has(unit.path) || unit.folder === undefined || unit.folder.startsItself) continue;
    const message = "is dead: no import leads to it from an entry";
    breaches.push({ path: unit.path, line: 1, rule: "dead", message });
  }
}
