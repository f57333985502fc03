/**
 * The grammar of scenario files (cockroachdb/datadriven, as etcd-io/raft writes it): stanzas of a
 * directive, optional input, `----`, and the expected output up to a blank line. If the line after
 * `----` is `----` too, the output may contain blank lines and ends with two such lines.
 */

/** One argument of a directive: `key`, `key=value` or `key=(value, …)`. */
export interface Argument {
  readonly key: string;
  readonly values: readonly string[];
}

/** A directive with its arguments. */
export interface Directive {
  readonly command: string;
  readonly args: readonly Argument[];
}

/** A directive, its input, and its expected output. */
export interface Stanza extends Directive {
  /** Number of the directive's line, from 1. */
  readonly line: number;
  readonly input: string;
  /** Without a newline at its end. */
  readonly expected: string;
}

const SEPARATOR = "----";

/** Parses the stanzas of a file. @throws RangeError with the line that violates the grammar. */
export function parseStanzas(text: string): Stanza[] {
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  const stanzas: Stanza[] = [];
  let at = 0;
  while (at < lines.length) {
    const start = at;
    let directive = lines[at++]!.trim();
    if (directive === "" || directive.startsWith("#")) continue;
    while (directive.endsWith("\\") && at < lines.length) {
      directive = `${directive.slice(0, -1).trimEnd()} ${lines[at++]!.trim()}`;
    }
    const input: string[] = [];
    while (at < lines.length && lines[at]!.trim() !== SEPARATOR) input.push(lines[at++]!);
    if (at === lines.length) throw new RangeError(`Line ${start + 1} begins a stanza without ----`);
    const output = readOutput(lines, at + 1);
    at = output.next;
    stanzas.push({
      ...parseDirective(directive, start + 1),
      line: start + 1,
      input: input.join("\n").trim(),
      expected: output.text,
    });
  }
  return stanzas;
}

function readOutput(lines: readonly string[], from: number): { text: string; next: number } {
  const isDouble = lines[from]?.trim() === SEPARATOR;
  let at = isDouble ? from + 1 : from;
  const output: string[] = [];
  for (; at < lines.length; at++) {
    const line = lines[at]!;
    if (isDouble) {
      if (line.trim() === SEPARATOR && lines[at + 1]?.trim() === SEPARATOR) {
        return { text: output.join("\n"), next: at + 2 };
      }
    } else if (line.trim() === "") {
      break;
    }
    output.push(line);
  }
  return { text: output.join("\n"), next: at };
}

/** Splits a directive line; values in parentheses may contain spaces. */
export function parseDirective(text: string, line = 0): Directive {
  const [, command, rest] = /^(\S+)\s*(.*)$/.exec(text) ?? [];
  if (command === undefined) throw new RangeError(`Line ${line} holds no directive`);
  const args: Argument[] = [];
  const pattern = /\s*([^\s=]+)(?:=(\([^)]*\)|[^\s]*))?/y;
  const source = rest!.trimEnd();
  while (pattern.lastIndex < source.length) {
    const match = pattern.exec(source);
    if (match === null) throw new RangeError(`Line ${line}: cannot read the arguments of ${text}`);
    args.push({ key: match[1]!, values: valuesOf(match[2]) });
  }
  return { command, args };
}

function valuesOf(text: string | undefined): readonly string[] {
  if (text === undefined) return [];
  if (!text.startsWith("(")) return [text];
  const inner = text.slice(1, -1).trim();
  return inner === "" ? [] : inner.split(",").map((value) => value.trim());
}

/** Returns the values of the argument `key`; undefined if there is none. */
export function valuesFor(directive: Directive, key: string): readonly string[] | undefined {
  return directive.args.find((arg) => arg.key === key)?.values;
}

/** Parses a whole number of a directive. @throws RangeError if it is none. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new RangeError(`A whole number was needed: found ${text}`);
  }
  return value;
}
