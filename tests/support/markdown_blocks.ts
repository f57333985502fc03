/** Fenced code blocks of a Markdown page, and the placeholders of the commands in them. */

/** One fenced block. */
export interface CodeBlock {
  /** The word after the opening fence; empty for diagrams and plain text. */
  readonly language: string;
  readonly lines: readonly string[];
  /** The page's line number of the first of them. */
  readonly firstLine: number;
}

/** Returns the fenced blocks of `page` in order. @throws Error where one is not closed. */
export function codeBlocks(page: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { language: string; lines: string[]; firstLine: number } | undefined;
  for (const [index, line] of page.split("\n").entries()) {
    const [, language] = /^ *```(\S*)\s*$/.exec(line) ?? [];
    if (language === undefined) open?.lines.push(line);
    else if (open === undefined) open = { language, lines: [], firstLine: index + 2 };
    else {
      blocks.push(open);
      open = undefined;
    }
  }
  if (open !== undefined) throw new Error(`The block at line ${open.firstLine - 1} is not closed`);
  return blocks;
}

/** Returns a line of shell without its comment. */
export function commandOf(line: string): string {
  return line.replace(/(^|\s+)#.*$/, "").trim();
}

/**
 * Replaces each `<name>` by its value. Throws for a placeholder without a value and for an
 * ellipsis, which cannot be typed.
 */
export function fillPlaceholders(command: string, values: ReadonlyMap<string, string>): string {
  const filled = command.replaceAll(/<([^<>]+)>/g, (_, name: string) => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`No earlier output gave a value for <${name}>`);
    return value;
  });
  if (filled.includes("…")) throw new Error("… stands for something that a reader cannot know");
  return filled;
}
