import type { Route } from "../route.ts";

/** Made from the route table when the programs are built; loaded when somebody asks. */
async function document(): Promise<string> {
  const { default: openapi } = await import("../../../specs/openapi.json", { with: { type: "json" } });
  return JSON.stringify(openapi);
}

export const openApiRoute: Route = {
  method: "GET",
  path: "/openapi.json",
  summary: "This document",
  authorized: false,
  responses: { 200: { description: "OpenAPI 3.1", contentType: "application/json" } },
  handle: async (context) => context.body(await document(), 200, { "content-type": "application/json" }),
};

export const docsRoute: Route = {
  method: "GET",
  path: "/docs",
  summary: "This document for people, without scripts and without any network",
  authorized: false,
  responses: { 200: { description: "a page", contentType: "text/html; charset=utf-8" } },
  handle: async (context) => {
    const { renderDocs } = await import("../docs_page.ts");
    return context.body(renderDocs(JSON.parse(await document())), 200, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    });
  },
};
