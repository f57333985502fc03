/**
 * The facts about one source file, read from TypeScript's own syntax tree, so that comments,
 * strings and property names cause no false results: its imports, the globals it names, its
 * asynchronous constructs, and whether its uvu tests are run.
 *
 * Imports are: `import … from`, `import type` and `import("…")` types (they count too: a type ties
 * two files together as a value does), `export … from`, `import("…")`, and `new URL("./x.ts",
 * import.meta.url)`, which names workers and child processes.
 */
import ts from "typescript";

/** One import of a file. */
export interface Import {
  /** As written; `undefined` if it is computed and therefore unknown. */
  readonly specifier: string | undefined;
  readonly line: number;
  /** True if nothing is left of it at run time. */
  readonly typeOnly: boolean;
}

/** A name or construct and the first line in which it occurs. */
export interface Use {
  readonly name: string;
  readonly line: number;
}

/** The facts about a file. */
export interface SourceFacts {
  readonly imports: readonly Import[];
  /** Identifiers that are references, not property names; each once. */
  readonly names: readonly Use[];
  /** Names that the file itself declares (variables, parameters, imports, functions, types). */
  readonly declared: ReadonlySet<string>;
  /** `await`, `async` and `for await`; each once. */
  readonly asynchronous: readonly Use[];
  /** `Math.random`, also as `Math["random"]` and `const { random } = Math`. */
  readonly mathRandom: readonly Use[];
  /**
   * `Date.now` and `new Date()`, which read the wall clock; `new Date(ms)` and `Date.parse` do not.
   */
  readonly wallClock: readonly Use[];
  /** The number of its lines. */
  readonly lineCount: number;
  /** Its functions and methods with a body; `lineCount` includes the first and the last line. */
  readonly functions: readonly (Use & { readonly lineCount: number })[];
  /** The classes, interfaces and type aliases that it declares and exports. */
  readonly exportedTypes: readonly Use[];
  /** Mistakes in its uvu tests; for files named `*.test.ts` and their support. */
  readonly testMistakes: readonly Use[];
}

/** Reads `text`, the source of the file at `path`. */
export function readSource(path: string, text: string): SourceFacts {
  const source = ts.createSourceFile(path, text, {
    languageVersion: ts.ScriptTarget.Latest,
    // Nothing here looks at doc comments, and reading them takes time.
    jsDocParsingMode: ts.JSDocParsingMode.ParseNone,
  }, true);
  const reader = new Reader(source);
  reader.visit(source);
  return {
    imports: reader.imports,
    names: [...reader.names.values()],
    declared: reader.declared,
    asynchronous: [...reader.asynchronous.values()],
    mathRandom: reader.mathRandom,
    wallClock: reader.wallClock,
    lineCount: text.split("\n").length - 1,
    functions: reader.functions,
    exportedTypes: reader.exportedTypes,
    testMistakes: path.endsWith(".test.ts")
      ? findTestMistakes(source, reader)
      : path.startsWith("tests/support/") && path !== REQUIREMENT_FILE
      ? reader.handMadeSkips
      : [],
  };
}

type DeclaredType = ts.ClassDeclaration | ts.InterfaceDeclaration | ts.TypeAliasDeclaration;

/** Visits each node of a file once; most nodes are of a kind that tells nothing. */
class Reader {
  readonly imports: Import[] = [];
  readonly names = new Map<string, Use>();
  readonly declared = new Set<string>();
  readonly asynchronous = new Map<string, Use>();
  readonly mathRandom: Use[] = [];
  readonly wallClock: Use[] = [];
  readonly functions: (Use & { readonly lineCount: number })[] = [];
  readonly exportedTypes: Use[] = [];
  readonly handMadeSkips: Use[] = [];
  readonly calls: ts.CallExpression[] = [];
  readonly variables: ts.VariableDeclaration[] = [];
  readonly #source: ts.SourceFile;

  constructor(source: ts.SourceFile) {
    this.#source = source;
  }

  readonly visit = (node: ts.Node): void => {
    switch (node.kind) {
      case ts.SyntaxKind.Identifier:
        this.#readIdentifier(node as ts.Identifier);
        // Nothing stands below it.
        return;
      case ts.SyntaxKind.StringLiteral:
      case ts.SyntaxKind.NoSubstitutionTemplateLiteral:
      case ts.SyntaxKind.TemplateHead:
        this.#readText(node as ts.StringLiteralLike | ts.TemplateHead);
        return;
      case ts.SyntaxKind.AwaitExpression:
      case ts.SyntaxKind.AwaitKeyword:
        this.#use(this.asynchronous, "await", node);
        break;
      case ts.SyntaxKind.AsyncKeyword:
        this.#use(this.asynchronous, "async", node);
        break;
      case ts.SyntaxKind.CallExpression:
        this.calls.push(node as ts.CallExpression);
        this.#readImport(node);
        this.#readWallClock(node);
        break;
      case ts.SyntaxKind.NewExpression:
        this.#readImport(node);
        this.#readWallClock(node);
        break;
      case ts.SyntaxKind.ImportDeclaration:
      case ts.SyntaxKind.ExportDeclaration:
      case ts.SyntaxKind.ImportType:
        this.#readImport(node);
        break;
      case ts.SyntaxKind.PropertyAccessExpression:
        this.#readMathRandom(node);
        this.#readWallClock(node);
        break;
      case ts.SyntaxKind.ElementAccessExpression:
        this.#readMathRandom(node);
        break;
      case ts.SyntaxKind.VariableDeclaration:
        this.variables.push(node as ts.VariableDeclaration);
        this.#readMathRandom(node);
        break;
      case ts.SyntaxKind.ClassDeclaration:
      case ts.SyntaxKind.InterfaceDeclaration:
      case ts.SyntaxKind.TypeAliasDeclaration:
        this.#readType(node as DeclaredType);
        break;
      case ts.SyntaxKind.FunctionDeclaration:
      case ts.SyntaxKind.FunctionExpression:
      case ts.SyntaxKind.ArrowFunction:
      case ts.SyntaxKind.MethodDeclaration:
      case ts.SyntaxKind.Constructor:
      case ts.SyntaxKind.GetAccessor:
      case ts.SyntaxKind.SetAccessor:
        this.#readFunction(node as ts.FunctionLikeDeclaration);
        break;
    }
    ts.forEachChild(node, this.visit);
  };

  #use(uses: Map<string, Use>, name: string, node: ts.Node): void {
    if (!uses.has(name)) uses.set(name, { name, line: lineOf(this.#source, node) });
  }

  #addImport(specifier: ts.Node | undefined, node: ts.Node, typeOnly: boolean): void {
    const known = specifier !== undefined && ts.isStringLiteralLike(specifier);
    this.imports.push({
      specifier: known ? specifier.text : undefined,
      line: lineOf(this.#source, node),
      typeOnly,
    });
  }

  #readImport(node: ts.Node): void {
    if (ts.isImportDeclaration(node)) {
      // `import { type x }` still loads its module, under verbatimModuleSyntax.
      const typeOnly = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
      this.#addImport(node.moduleSpecifier, node, typeOnly);
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      this.#addImport(node.moduleSpecifier, node, node.isTypeOnly);
    } else if (ts.isImportTypeNode(node)) {
      const literal = ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
      this.#addImport(literal, node, true);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      this.#addImport(node.arguments[0], node, false);
    } else if (isModuleUrl(node)) {
      this.#addImport(node.arguments![0], node, false);
    }
  }

  #readIdentifier(node: ts.Identifier): void {
    if (isDeclaredName(node)) this.declared.add(node.text);
    else if (isReference(node)) this.#use(this.names, node.text, node);
  }

  /** Finds text such as `"skipped: the program x is missing"`. */
  #readText(node: ts.StringLiteralLike | ts.TemplateHead): void {
    if (!/^skipp(ed|ing):/i.test(node.text)) return;
    this.handMadeSkips.push({ name: HAND_MADE_SKIP, line: lineOf(this.#source, node) });
  }

  #readFunction(node: ts.FunctionLikeDeclaration): void {
    if (node.body === undefined) return;
    const line = lineOf(this.#source, node);
    const end = this.#source.getLineAndCharacterOfPosition(node.end).line + 1;
    const name = node.name?.getText(this.#source) ?? "a function";
    this.functions.push({ name, line, lineCount: end - line + 1 });
  }

  #readType(node: DeclaredType): void {
    const isExported = node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    if (isExported !== true || node.name === undefined) return;
    this.exportedTypes.push({ name: node.name.text, line: lineOf(this.#source, node) });
  }

  #readMathRandom(node: ts.Node): void {
    const isMath = (side: ts.Node | undefined) =>
      side !== undefined && ts.isIdentifier(side) && side.text === "Math";
    const found = (ts.isPropertyAccessExpression(node) && isMath(node.expression) &&
      node.name.text === "random") ||
      // Anything computed may be `random`; `Math` has no other use for brackets.
      (ts.isElementAccessExpression(node) && isMath(node.expression)) ||
      (ts.isVariableDeclaration(node) && isMath(node.initializer));
    if (found) this.mathRandom.push({ name: "Math.random", line: lineOf(this.#source, node) });
  }

  #readWallClock(node: ts.Node): void {
    const isDate = (side: ts.Node) => ts.isIdentifier(side) && side.text === "Date";
    const found = (ts.isPropertyAccessExpression(node) && isDate(node.expression) &&
      node.name.text === "now") ||
      (ts.isCallExpression(node) && isDate(node.expression)) ||
      (ts.isNewExpression(node) && isDate(node.expression) && !node.arguments?.length);
    if (found) this.wallClock.push({ name: "the wall clock", line: lineOf(this.#source, node) });
  }
}

function lineOf(source: ts.SourceFile, node: ts.Node): number {
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
}

/** `new URL("./x.ts", import.meta.url)`. */
function isModuleUrl(node: ts.Node): node is ts.NewExpression {
  if (!ts.isNewExpression(node) || !ts.isIdentifier(node.expression)) return false;
  const [path, base] = node.arguments ?? [];
  return node.expression.text === "URL" && path !== undefined && base !== undefined &&
    ts.isStringLiteralLike(path) && path.text.startsWith(".") && path.text.endsWith(".ts") &&
    ts.isPropertyAccessExpression(base) && ts.isMetaProperty(base.expression);
}

/** Reports whether `node` is the name that its parent declares. */
function isDeclaredName(node: ts.Identifier): boolean {
  const { parent } = node;
  return (ts.isVariableDeclaration(parent) || ts.isParameter(parent) ||
    ts.isBindingElement(parent) || ts.isFunctionDeclaration(parent) ||
    ts.isFunctionExpression(parent) || ts.isClassDeclaration(parent) ||
    ts.isInterfaceDeclaration(parent) || ts.isTypeAliasDeclaration(parent) ||
    ts.isTypeParameterDeclaration(parent) || ts.isImportSpecifier(parent) ||
    ts.isImportClause(parent) || ts.isNamespaceImport(parent)) && parent.name === node;
}

/** Reports whether `node` refers to something in scope, rather than naming a member or a label. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name !== node;
  if (ts.isQualifiedName(parent)) return parent.right !== node;
  if (ts.isBindingElement(parent)) return parent.propertyName !== node;
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent)) return false;
  if (ts.isNamedTupleMember(parent) || ts.isMetaProperty(parent)) return false;
  if (
    ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent) ||
    ts.isPropertySignature(parent) || ts.isMethodDeclaration(parent) ||
    ts.isMethodSignature(parent) || ts.isAccessor(parent) || ts.isEnumMember(parent)
  ) return parent.name !== node;
  return true;
}

/**
 * Finds mistakes in uvu tests. uvu runs only the tests that were queued when `run()` was called: a
 * test file without that call, or a test below it, passes without being run. `only` omits all
 * others.
 */
function findTestMistakes(source: ts.SourceFile, reader: Reader): Use[] {
  const registrars = findRegistrars(source, reader.variables);
  const mistakes = [...reader.handMadeSkips];
  const lastRun = new Map<string, number>();
  const calls: { name: string; member: string | undefined; node: ts.Node }[] = [];
  for (const node of reader.calls) {
    const { expression } = node;
    const callee = ts.isPropertyAccessExpression(expression) ? expression.expression : expression;
    if (!ts.isIdentifier(callee) || !registrars.has(callee.text)) continue;
    const member = callee === expression
      ? undefined
      : (expression as ts.PropertyAccessExpression).name.text;
    calls.push({ name: callee.text, member, node });
    if (member === "run") lastRun.set(callee.text, node.pos);
  }
  if (registrars.size === 0) mistakes.push({ name: "imports no test from uvu", line: 1 });
  for (const name of new Set(registrars.values())) {
    const used = name === "test" ? true : calls.some((call) => call.name === name);
    if (used && !lastRun.has(name)) mistakes.push({ name: `never calls ${name}.run()`, line: 1 });
  }
  for (const { name, member, node } of calls) {
    const line = lineOf(source, node);
    if (member === "skip") mistakes.push({ name: HAND_MADE_SKIP, line });
    if (member === "only") mistakes.push({ name: `calls ${name}.only()`, line });
    const isTopLevel = ts.isExpressionStatement(node.parent) && node.parent.parent === source;
    const run = registrars.get(name)!;
    const afterRun = node.pos > (lastRun.get(run) ?? Number.POSITIVE_INFINITY);
    if (member === undefined && isTopLevel && afterRun) {
      mistakes.push({ name: `has a test after ${run}.run(), which never runs`, line });
    }
  }
  return mistakes;
}

/** The only file that may print that a test skips. */
const REQUIREMENT_FILE = "tests/support/requirement.ts";
/** A test that returns early counts as passed, and a test that is switched off is forgotten. */
const HAND_MADE_SKIP = `skips by itself: register the test by testWith of ${REQUIREMENT_FILE}`;

/**
 * Returns the names with which tests are registered, each with the name whose `run()` runs them:
 * uvu's `test` by any alias, results of `suite()`, and results of `testWith()`, which registers
 * with `test`.
 */
function findRegistrars(
  source: ts.SourceFile,
  variables: readonly ts.VariableDeclaration[],
): Map<string, string> {
  const registrars = new Map<string, string>();
  const suites = new Set<string>();
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement)) continue;
    if ((statement.moduleSpecifier as ts.StringLiteral).text !== "uvu") continue;
    const bindings = statement.importClause?.namedBindings;
    if (bindings === undefined || !ts.isNamedImports(bindings)) continue;
    for (const element of bindings.elements) {
      const imported = (element.propertyName ?? element.name).text;
      if (imported === "test") registrars.set(element.name.text, element.name.text);
      if (imported === "suite") suites.add(element.name.text);
    }
  }
  for (const { name, initializer: made } of variables) {
    if (made === undefined || !ts.isCallExpression(made) || !ts.isIdentifier(made.expression)) {
      continue;
    }
    if (!ts.isIdentifier(name)) continue;
    if (suites.has(made.expression.text)) registrars.set(name.text, name.text);
    if (made.expression.text === "testWith") registrars.set(name.text, "test");
  }
  return registrars;
}
