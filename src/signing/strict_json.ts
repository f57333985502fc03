/**
 * A reader of JSON (RFC 8259) as people and other programs write it, for documents that are signed.
 * `JSON.parse` keeps the last of two members of one name and reads 1e400 as infinite, so what was
 * shown could be another document than the one that is signed. This reader refuses both, and text
 * that is nested deeper than its limit.
 */
import canonicalize from "canonicalize";

/** A fault of a text. */
export interface JsonFault {
  /** A sentence that is the same on every runtime. */
  readonly fault: string;
  /** The message of the parser, which differs between runtimes. */
  readonly detail?: string;
}

/** Reads a text. @param depthMax levels of objects and arrays that it may have. */
export function readStrictJson(
  text: string,
  depthMax: number,
): { readonly value: unknown } | JsonFault {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { fault: "It is not JSON", detail: messageOf(error) };
  }
  const fault = structureFault(text, depthMax);
  if (fault !== undefined) return { fault };
  try {
    canonicalize(value);
  } catch (error) {
    const detail = messageOf(error);
    return { fault: "It has an infinite number or a lone surrogate, so no canonical form", detail };
  }
  return { value };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Returns the fault of a text that `JSON.parse` accepted: a name that its object has already, or too
 * many levels.
 */
function structureFault(text: string, depthMax: number): string | undefined {
  /** Names of the open objects; undefined for arrays. */
  const open: (Set<string> | undefined)[] = [];
  let lastString: string | undefined;
  // The characters that begin a string or give a text its structure.
  const tokens = /["{}[\]:]/g;
  for (let match = tokens.exec(text); match !== null; match = tokens.exec(text)) {
    const [token] = match;
    if (token === '"') {
      tokens.lastIndex = stringEnd(text, match.index);
      lastString = text.slice(match.index, tokens.lastIndex);
    } else if (token === "{" || token === "[") {
      if (open.length === depthMax) return `It may have ${depthMax} levels: it has more`;
      open.push(token === "{" ? new Set() : undefined);
    } else if (token === "}" || token === "]") {
      open.pop();
    } else if (token === ":") {
      // Only a name is followed by a colon outside of strings.
      const names = open.at(-1)!;
      const name = JSON.parse(lastString!) as string;
      if (names.has(name)) return `The name ${lastString} occurs twice in one object`;
      names.add(name);
    }
  }
  return undefined;
}

/**
 * Returns the end of the string that begins at `start`. A RegExp for strings would need stack for each
 * character, and throw at a string of some megabytes.
 */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}
