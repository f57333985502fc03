/** Routes that describe all others: the OpenAPI document and the page for people. */
import { z } from "zod";
import { DOCS_POLICY, docsPage } from "../docs_page.ts";
import { openApiDocument } from "../open_api.ts";
import { type HttpRoute, route } from "../route.ts";

/** Returns these routes, which describe `others` and themselves. */
export function documentRoutes(others: readonly HttpRoute[]): readonly HttpRoute[] {
  const routes = [
    route({
      method: "GET",
      path: "/openapi.json",
      name: "get_openapi",
      tag: "documents",
      summary: "Describes all routes as OpenAPI 3.1",
      answers: { 200: { description: "the document", schema: z.looseObject({}) } },
      handle: () => Promise.resolve({ body: texts().document }),
    }),
    route({
      method: "GET",
      path: "/docs",
      name: "get_docs",
      tag: "documents",
      summary: "Describes all routes for people",
      answers: { 200: { description: "the page", type: "text/html" } },
      handle: () =>
        Promise.resolve({
          body: texts().page,
          headers: {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": DOCS_POLICY,
          },
        }),
    }),
  ];
  const texts = once(() => {
    const document = openApiDocument([...others, ...routes]);
    return { document, page: docsPage(document) };
  });
  return routes;
}

/** Returns a function that makes a value at its first call and keeps it. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
