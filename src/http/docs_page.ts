/** As much of an OpenAPI document as the page shows. */
interface Document {
  readonly info: { readonly title: string; readonly description?: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

interface Operation {
  readonly summary: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: unknown;
  }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

type Content = Readonly<Record<string, { readonly schema?: unknown }>>;

const METHODS = ["get", "post", "put", "delete"];
const STYLE = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow: auto; padding: .6rem; border: 1px solid #8884; border-radius: 4px; }
details { border-bottom: 1px solid #8884; padding: .5rem 0; }
summary { cursor: pointer; }
summary b { display: inline-block; min-width: 4.5rem; }
td, th { text-align: left; vertical-align: top; padding: .1rem .8rem .1rem 0; }
small { opacity: .7; }`;

/** A page that shows an OpenAPI document: one file, no script, nothing loaded. */
export function renderDocs(document: Document): string {
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method in item).map((method) =>
      renderOperation(method, path, item[method] as Operation, "servers" in item),
    ),
  );
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) =>
      `<details id="${escapeHtml(name)}"><summary><code>${escapeHtml(name)}</code></summary>${json(schema)}</details>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(document.info.title)}</title><style>${STYLE}</style></head><body>
<h1>${escapeHtml(document.info.title)}</h1><p>${escapeHtml(document.info.description ?? "")} <a href="openapi.json">openapi.json</a></p>
${operations.join("\n")}
<h2>Schemas</h2>
${schemas.join("\n")}
</body></html>
`;
}

function renderOperation(method: string, path: string, operation: Operation, internal: boolean): string {
  const notes = [internal ? "internal port" : [], operation.security ? "token" : []].flat().join(", ");
  const parameters = (operation.parameters ?? []).map(
    (each) =>
      `<tr><td><code>${escapeHtml(each.name)}</code></td><td>${escapeHtml(each.in)}${each.required ? "" : ", optional"}</td><td><code>${escapeHtml(JSON.stringify(each.schema))}</code></td></tr>`,
  );
  const responses = Object.entries(operation.responses).map(
    ([status, { description, content }]) =>
      `<tr><td>${escapeHtml(status)}</td><td>${escapeHtml(description)}</td><td>${renderContent(content)}</td></tr>`,
  );
  return `<details><summary><b>${escapeHtml(method.toUpperCase())}</b> <code>${escapeHtml(path)}</code> ${escapeHtml(operation.summary)} <small>${escapeHtml(notes)}</small></summary>
${parameters.length > 0 ? `<table>${parameters.join("")}</table>` : ""}
${operation.requestBody ? `<p>Body</p>${renderContent(operation.requestBody.content)}` : ""}
<table>${responses.join("")}</table></details>`;
}

function renderContent(content: Content | undefined): string {
  return Object.entries(content ?? {})
    .map(
      ([type, { schema }]) => `<small>${escapeHtml(type)}</small>${schema === undefined ? "" : renderSchema(schema)}`,
    )
    .join("");
}

function renderSchema(schema: unknown): string {
  const name = (schema as { readonly $ref?: string }).$ref?.split("/").at(-1);
  return name === undefined ? json(schema) : ` <a href="#${escapeHtml(name)}"><code>${escapeHtml(name)}</code></a>`;
}

function json(value: unknown): string {
  return `<pre>${escapeHtml(JSON.stringify(value, null, 2))}</pre>`;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
