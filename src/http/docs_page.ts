/** The page `/docs`: all routes as one document, without scripts and without anything of others. */
import { VERSION } from "../base/version.ts";

/** The content security policy of the page: it loads nothing. */
export const DOCS_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'";

const STYLE = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;" +
  "padding:0 1rem;color-scheme:light dark}code{font-family:ui-monospace,monospace}" +
  "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;" +
  "padding:.15rem .75rem .15rem 0}h3{margin-bottom:.25rem}h3 code:first-child{font-weight:400}";

/** The parts of an OpenAPI document that the page shows. */
interface Operation {
  readonly tags: readonly string[];
  readonly summary: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly description?: string;
  }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: unknown }>>;
  };
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

/** Returns the page of an OpenAPI document. */
export function docsPage(document: Readonly<Record<string, unknown>>): string {
  const byTag = new Map<string, string[]>();
  const paths = document["paths"] as Record<string, Record<string, Operation>>;
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const [tag = ""] = operation.tags;
      const sections = byTag.get(tag) ?? [];
      sections.push(operationHtml(method, path, operation));
      byTag.set(tag, sections);
    }
  }
  const groups = Array.from(
    byTag,
    ([tag, sections]) => `<h2>${text(tag)}</h2>${sections.join("")}`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">` +
    `<meta name="viewport" content="width=device-width"><title>Central registry, HTTP</title>` +
    `<style>${STYLE}</style></head><body><h1>Central registry ${text(VERSION)}, HTTP</h1>` +
    `<p>For programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>` +
    `${groups.join("")}</body></html>\n`;
}

function operationHtml(method: string, path: string, operation: Operation): string {
  const { summary, parameters, requestBody, responses } = operation;
  const rows = parameters.map(({ name, in: place, required, description = "" }) =>
    `<tr><td><code>${text(name)}</code></td><td>${text(place)}${
      required ? ", required" : ""
    }</td>` +
    `<td>${text(description)}</td></tr>`
  );
  const body = requestBody === undefined
    ? []
    : [`<tr><td>body</td><td>JSON</td><td>${bodyText(requestBody)}</td></tr>`];
  const answers = Object.entries(responses).map(([status, { description }]) =>
    `<tr><td>${text(status)}</td><td colspan="2">${text(description)}</td></tr>`
  );
  return `<h3><code>${text(method.toUpperCase())}</code> <code>${text(path)}</code></h3>` +
    `<p>${text(summary)}</p><table>${[...rows, ...body, ...answers].join("")}</table>`;
}

/** Returns the names of the members of a body. */
function bodyText(body: NonNullable<Operation["requestBody"]>): string {
  const { schema } = Object.values(body.content)[0]!;
  const { $ref, properties } = schema as { $ref?: string; properties?: Record<string, unknown> };
  if ($ref !== undefined) return `<code>${text($ref.split("/").at(-1)!)}</code>`;
  return Object.keys(properties ?? {}).map((name) => `<code>${text(name)}</code>`).join(", ");
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

function text(value: string): string {
  return value.replace(/[&<>"]/g, (character) => ESCAPES[character]!);
}
