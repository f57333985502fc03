/**
 * The Mermaid diagrams of the pages: Mermaid's own parser takes each of them. It needs a browser, as it
 * cleans texts by the DOM. The package is Mermaid in one file of 2.5 MB, without the 200 MB of its dependencies.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { withPage } from "../../support/browser.ts";
import { type CodeBlock, codeBlocks } from "../../support/markdown_blocks.ts";
import { CHROMIUM, testWith } from "../../support/requirement.ts";
import { within } from "../../support/until.ts";

const ROOT = new URL("../../../", import.meta.url);
const PARSER = new URL("node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js", ROOT);
const PAGE_MS_MAX = 25_000;

/** A diagram and the place where it stands. */
interface Diagram {
  readonly place: string;
  readonly text: string;
}

/** Parses all diagrams, and reports the fault of each; `null` if it has none. */
const SCRIPT = `
const faults = [];
for (const { text } of await (await fetch("/diagrams")).json()) {
  faults.push(await mermaid.parse(text).then(() => null, String));
}
await fetch("/faults", { method: "POST", body: JSON.stringify(faults) });
`;

function pages(folder = ROOT): URL[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const isOfPages = folder === ROOT ? name === "docs" : true;
    if (isDirectory) return isOfPages ? pages(new URL(`${name}/`, folder)) : [];
    return name.endsWith(".md") ? [new URL(name, folder)] : [];
  });
}

function diagramsIn(page: URL): Diagram[] {
  const isDiagram = ({ language }: CodeBlock) => language === "mermaid";
  return codeBlocks(Deno.readTextFileSync(page)).filter(isDiagram).map((block) => ({
    place: `${page.pathname.slice(ROOT.pathname.length)}:${block.firstLine}`,
    text: block.lines.join("\n"),
  }));
}

/** Returns the faults of diagrams by their places. */
async function faultsOf(
  chromium: string,
  diagrams: readonly Diagram[],
): Promise<ReadonlyMap<string, string>> {
  const reported = Promise.withResolvers<(string | null)[]>();
  const html = (body: string) => new Response(body, { headers: { "content-type": "text/html" } });
  const serve = async (request: Request) => {
    switch (new URL(request.url).pathname) {
      case "/":
        return html(`<script src="/parser.js"></script><script type="module">${SCRIPT}</script>`);
      case "/parser.js":
        return new Response(await Deno.readFile(PARSER));
      case "/diagrams":
        return Response.json(diagrams);
      case "/faults":
        reported.resolve(await request.json());
        return new Response();
      default:
        return new Response(null, { status: 404 });
    }
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, serve);
  try {
    const url = `http://127.0.0.1:${server.addr.port}/`;
    const faults = await withPage(
      chromium,
      url,
      () => within("the parser's report", reported.promise, PAGE_MS_MAX),
    );
    const found = new Map<string, string>();
    for (const [at, { place }] of diagrams.entries()) {
      const fault = faults[at];
      if (fault !== null) found.set(place, fault ?? "nothing was reported");
    }
    return found;
  } finally {
    await server.shutdown();
  }
}

testWith(CHROMIUM)("the diagrams of all pages are ones that Mermaid reads", async (chromium) => {
  const diagrams = pages().flatMap(diagramsIn);
  const kinds = new Set(diagrams.map(({ text }) => /^\w+/.exec(text)?.[0]));
  assert.equal([...kinds].sort(), ["flowchart", "sequenceDiagram", "stateDiagram"]);
  // The parser finds the fault of one that has one.
  const broken = { place: "broken", text: "stateDiagram-v2\n  a --> --> b" };
  const faults = await faultsOf(chromium, [...diagrams, broken]);
  assert.equal([...faults.keys()], ["broken"], JSON.stringify([...faults]));
});

test.run();
