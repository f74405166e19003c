// The page: reads the document, lists its operations, and shows the one that the address names after `#`.
import { copyButton, h, paragraphs, prose } from "./dom.js";
import { bodySample, field, requiredFirst, resolve, schemaView } from "./schema.js";
import { tryView } from "./try.js";

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];
const KEY = "trunkline-api-key";
const server = location.origin + document.body.dataset.base;
const at = (id) => document.getElementById(id);
const main = at("main");
let operations = [];
let api = {};

async function start() {
  keyField();
  try {
    const response = await fetch(server + "/openapi.json", { credentials: "omit" });
    if (!response.ok) throw new Error("the status was " + response.status + " " + response.statusText);
    api = await response.json();
    if (!api.paths) throw new Error("it is not an OpenAPI document");
  } catch (error) {
    main.replaceChildren(h("div", { class: "trouble", role: "alert" },
      h("h2", null, "The description of the API could not be read"),
      h("p", null, "This page shows what ", h("code", null, server + "/openapi.json"), " describes, and reading it failed: ", error.message, "."),
      h("p", null, "Check whether Trunkline runs (", h("code", null, "trunkline health"), "), whether a proxy in front of it allows that path, ",
        "and whether ", h("code", null, "TRUNKLINE_PUBLIC_URL"), " is the address that you opened. Its log has more."),
      h("button", { type: "button", click: () => location.reload() }, "Try again")));
    return;
  }
  at("version").textContent = api.info?.version ?? "";
  operations = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => operationOf(path, method, item)));
  list();
  show();
  addEventListener("hashchange", show);
  at("filter").addEventListener("input", filter);
  addEventListener("keydown", shortcuts);
}

function operationOf(path, method, item) {
  const own = item[method];
  const parameters = [...(item.parameters ?? []), ...(own.parameters ?? [])].map((parameter) => resolve(api, parameter))
    .filter((parameter) => parameter.in !== "cookie");
  const security = own.security ?? api.security ?? [];
  const scopes = [...new Set(security.flatMap((one) => Object.values(one).flat()))];
  const needsKey = security.length > 0 && !security.some((one) => Object.keys(one).length === 0);
  const id = own.operationId ?? method + path;
  return {
    ...own, path, method, id, parameters, scopes, needsKey,
    requestBody: own.requestBody ? resolve(api, own.requestBody) : null,
    words: [method, path, id, own.summary, own.description, ...(own.tags ?? []), ...scopes, ...parameters.map((parameter) => parameter.name)]
      .join(" ").toLowerCase(),
  };
}

// The list

function list() {
  const told = new Map((api.tags ?? []).map((tag) => [tag.name, tag.description]));
  const tags = new Set([...told.keys(), ...operations.map((one) => one.tags?.[0] ?? "other")]);
  const groups = [...tags].map((tag) => {
    const own = operations.filter((one) => (one.tags?.[0] ?? "other") === tag);
    return own.length ? h("details", null, h("summary", { title: told.get(tag) }, tag, h("span", { class: "rules" }, own.length)), h("ul", null, own.map(entry))) : null;
  });
  at("list").replaceChildren(...groups.filter(Boolean));
  filter();
}

function entry(one) {
  one.link = h("a", { href: "#" + encodeURIComponent(one.id), title: one.method.toUpperCase() + " " + one.path, class: one.deprecated ? "deprecated" : null },
    badge(one), h("span", { class: "title" }, prose(one.summary ?? one.id)));
  return h("li", null, one.link);
}

const badge = (one) => h("span", { class: "method " + one.method }, one.method === "delete" ? "DEL" : one.method.toUpperCase());
/** A path that may be broken after its slashes. */
const breakable = (path) => path.split(/(?<=\/)/).flatMap((part) => [part, h("wbr")]);

function filter() {
  const words = at("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let seen = 0;
  for (const one of operations) {
    const fits = words.every((word) => one.words.includes(word));
    one.link.parentElement.hidden = !fits;
    seen += fits;
  }
  for (const group of at("list").children) {
    group.hidden = !group.querySelector("li:not([hidden])");
    group.open = words.length > 0 || Boolean(group.querySelector("[aria-current]"));
  }
  at("count").textContent = words.length ? seen + " of " + operations.length + " operations" : operations.length + " operations";
}

const visible = () => [...at("list").querySelectorAll("details[open] li:not([hidden]) a")];

function shortcuts(event) {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.key === "/" && !typing) {
    event.preventDefault();
    at("filter").select();
  } else if (event.key === "Escape" && event.target === at("filter")) {
    at("filter").value = "";
    filter();
  } else if (event.key === "Enter" && event.target === at("filter")) {
    visible()[0]?.click();
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (event.target === at("filter") || event.target.closest?.("#list"))) {
    event.preventDefault();
    const links = visible();
    const next = links.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
    (next < 0 ? at("filter") : links[Math.min(next, links.length - 1)])?.focus();
  }
}

// The operation

function show() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id === "main") return;
  const one = operations.find((operation) => operation.id === id);
  for (const operation of operations) {
    if (operation === one) operation.link.setAttribute("aria-current", "page");
    else operation.link.removeAttribute("aria-current");
  }
  if (one) {
    one.link.closest("details").open = true;
    // On a phone the list stands above the operation.
    at("menu").open = !matchMedia("(max-width: 48rem)").matches;
    one.link.scrollIntoView({ block: "nearest" });
  }
  main.replaceChildren(...(one ? operationView(one) : welcome(id)));
  document.title = (one ? one.summary + " · " : "") + "Trunkline API";
  scrollTo(0, 0);
}

function welcome(id) {
  const missing = id && h("p", { class: "trouble" }, "The operation ", h("code", null, id), " does not exist. Choose one from the list.");
  return [h("div", { class: "text" }, missing || null,
    h("h1", null, api.info?.title ?? "API"), paragraphs(api.info?.description),
    h("p", null, "Choose an operation: ", h("kbd", null, "/"), " goes to the search, ", h("kbd", null, "↓"), " and ", h("kbd", null, "↑"),
      " move through the list, ", h("kbd", null, "Ctrl"), " + ", h("kbd", null, "Enter"), " sends. Most operations need an API key, for which there is a field at the top; ",
      "each names the scope that the key must have."),
    h("p", null, "The document itself: ", h("a", { href: server + "/openapi.json" }, "openapi.json"), " (OpenAPI " + api.openapi + ")."),
    h("ul", { class: "tags" }, (api.tags ?? []).map((tag) => h("li", null, h("strong", null, tag.name), " ", prose(tag.description)))))].filter(Boolean);
}

function operationView(one) {
  const body = Object.entries(one.requestBody?.content ?? {});
  return [
    h("article", null,
      h("h1", null, prose(one.summary ?? one.id)),
      h("p", { class: "line" }, badge(one), h("code", { class: "path" }, breakable(one.path))),
      one.deprecated ? h("p", { class: "trouble" }, "Deprecated: kept for older clients.") : null,
      paragraphs(one.description),
      h("p", { class: "scope" }, one.needsKey ? ["Requires a key", one.scopes.length ? [" with the scope ", one.scopes.map((scope) => h("code", null, scope))] : null, "."] : "Requires no key."),
      one.parameters.length ? [h("h2", null, "Parameters"), h("ul", { class: "fields" },
        requiredFirst(one.parameters, (parameter) => parameter.required).map((parameter) => field(api, parameter.name, parameter.schema ?? {}, parameter.required, "In the " + parameter.in + ". " + (parameter.description ?? ""))))] : null,
      body.length ? [h("h2", null, "Body"), body.map(([kind, content]) => contentView(kind, content))] : null,
      h("h2", null, "Responses"),
      Object.entries(one.responses ?? {}).map(([status, response]) => responseView(status, resolve(api, response)))),
    tryView(api, one, server, () => at("key").value.trim()),
  ];
}

function contentView(kind, content) {
  const example = kind.includes("json") ? JSON.stringify(bodySample(api, content), null, 2) : content.example;
  return h("div", { class: "content" },
    h("p", { class: "type" }, kind),
    content.schema ? schemaView(api, content.schema) : null,
    example ? h("details", null, h("summary", null, "Example"), h("div", { class: "code-box" }, h("pre", { tabindex: "0" }, example), copyButton(() => example))) : null);
}

function responseView(status, response) {
  const content = Object.entries(response.content ?? {});
  const good = status.startsWith("2");
  return h("details", { class: "response", open: good },
    h("summary", null, h("strong", { class: good ? "good" : "bad" }, status), " ", prose(response.description)),
    content.length ? content.map(([kind, one]) => contentView(kind, one)) : h("p", { class: "type" }, "no body"));
}

// The key

function keyField() {
  const key = at("key");
  key.value = sessionStorage.getItem(KEY) ?? "";
  key.addEventListener("input", () => sessionStorage.setItem(KEY, key.value.trim()));
  at("key-form").addEventListener("submit", (event) => event.preventDefault());
  at("key-forget").addEventListener("click", () => {
    sessionStorage.removeItem(KEY);
    key.value = "";
    key.focus();
  });
  at("key-show").addEventListener("click", () => {
    const shown = key.type === "text";
    key.type = shown ? "password" : "text";
    at("key-show").textContent = shown ? "Show" : "Hide";
    at("key-show").setAttribute("aria-pressed", String(!shown));
  });
}

await start();
