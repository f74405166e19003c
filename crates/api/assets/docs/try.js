// The form that sends an operation: its fields, the request as a curl command, and the response.
import { copyButton, h } from "./dom.js";
import { bodySample, resolve, typeName } from "./schema.js";

const LONGEST_SHOWN = 300_000;
/** The entered values by the parameter's name, so that a connection's name is entered once. */
const typed = new Map();

/** The form of an operation. `server` is where requests go; `key()` gives the API key or an empty text. */
export function tryView(api, operation, server, key) {
  const inputs = operation.parameters.map((parameter) => parameterInput(api, parameter));
  const more = inputs.filter(({ parameter }) => !parameter.required);
  const media = Object.entries(operation.requestBody?.content ?? {});
  const body = media.length ? h("textarea", { id: "body", rows: 10, spellcheck: "false", input: renew }) : null;
  if (body) {
    body.value = JSON.stringify(bodySample(api, media[0][1], true), null, 2) ?? "";
    body.rows = Math.min(22, Math.max(4, body.value.split("\n").length + 1));
  }
  const kinds = [...new Set(Object.entries(operation.responses ?? {}).filter(([status]) => status.startsWith("2"))
    .flatMap(([, response]) => Object.keys(resolve(api, response).content ?? {})))];
  const accept = kinds.length > 1 ? h("select", { id: "accept", change: renew }, kinds.map((kind) => h("option", null, kind))) : null;
  const curl = h("code");
  const answer = h("section", { class: "answer", "aria-live": "polite", "aria-label": "Response" });
  const send = h("button", { type: "submit", class: "send" }, "Try it");
  let running = null;

  const form = h("form", { class: "try", submit, keydown: (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  } },
    h("h3", null, "Try it"),
    inputs.filter(({ parameter }) => parameter.required).map((input) => input.view),
    more.length ? h("details", { class: "more", open: more.length < 3 || more.some(({ input }) => input.value) },
      h("summary", null, more.length + (more.length === 1 ? " more parameter" : " more parameters")), more.map((input) => input.view)) : null,
    body ? h("div", { class: "input" }, h("label", { for: "body" }, "Body ", h("span", { class: "type" }, media[0][0])), body) : null,
    accept ? h("div", { class: "input" }, h("label", { for: "accept" }, "Accept"), accept) : null,
    h("div", { class: "buttons" }, send, h("span", { class: "hint" }, "Ctrl + Enter")),
    h("div", { class: "code-box" }, h("pre", { class: "curl", tabindex: "0", "aria-label": "The same with curl" }, curl), copyButton(() => curl.textContent)),
    answer);
  form.addEventListener("input", renew);
  renew();
  return form;

  function request() {
    let path = operation.path;
    const query = [];
    const headers = {};
    for (const { parameter, input } of inputs) {
      if (input.value === "") continue;
      if (parameter.in === "path") path = path.replace("{" + parameter.name + "}", encodeURIComponent(input.value));
      else if (parameter.in === "query") query.push(...pairs(api, parameter, input.value));
      else if (parameter.in === "header") headers[parameter.name] = input.value;
    }
    const text = query.map(([name, value]) => encodeURIComponent(name) + "=" + encodeURIComponent(value)).join("&");
    if (accept) headers.Accept = accept.value;
    if (body) headers["Content-Type"] = media[0][0];
    return { url: server + path + (text ? "?" + text : ""), headers, body: body?.value };
  }

  function renew() {
    const { url, headers, body: text } = request();
    const lines = ["curl" + (operation.method === "get" ? "" : " -X " + operation.method.toUpperCase()) + " " + quoted(url)];
    // A variable and not the key, since the command is made to be copied.
    if (operation.needsKey) lines.push('-H "Authorization: Bearer $TRUNKLINE_SECRET_KEY"');
    for (const [name, value] of Object.entries(headers)) lines.push("-H " + quoted(name + ": " + value));
    if (text !== undefined) lines.push("-d " + quoted(text));
    curl.textContent = lines.join(" \\\n  ");
  }

  async function submit(event) {
    event.preventDefault();
    if (running) return running.abort();
    if (operation.needsKey && !key()) {
      answer.replaceChildren(h("p", { class: "trouble" }, "This operation requires an API key: enter one in the field at the top. ",
        "One was shown when Trunkline first started, and it can create more."));
      document.getElementById("key").focus();
      return;
    }
    const { url, headers, body: text } = request();
    if (operation.needsKey) headers.Authorization = "Bearer " + key();
    running = new AbortController();
    send.textContent = "Stop";
    answer.replaceChildren(h("p", { class: "hint" }, "Waiting for the response …"));
    const began = performance.now();
    try {
      const response = await fetch(url, {
        method: operation.method.toUpperCase(), headers, body: text, signal: running.signal,
        credentials: "omit", redirect: "manual", cache: "no-store", referrerPolicy: "no-referrer",
      });
      const { shown, cut } = await read(response);
      answer.replaceChildren(...answerView(response, shown, cut, performance.now() - began));
    } catch (error) {
      const why = error.name === "AbortError" ? "Stopped." : "No response (" + error.message + "). Is Trunkline still running?";
      answer.replaceChildren(h("p", { class: "trouble" }, why));
    } finally {
      running = null;
      send.textContent = "Try it";
      answer.scrollIntoView({ block: "nearest" });
    }
  }
}

function parameterInput(api, parameter) {
  const schema = resolve(api, parameter.schema ?? {});
  const id = "p-" + parameter.in + "-" + parameter.name;
  const example = parameter.example ?? schema.example ?? schema.examples?.[0] ?? schema.default;
  const fixed = schema.enum ?? (typeName(api, schema).startsWith("boolean") ? [true, false] : null);
  const keep = () => typed.set(parameter.name, input.value);
  const common = { id, name: id, input: keep, required: parameter.required };
  const input = fixed
    ? h("select", common, h("option", { value: "" }, "—"), fixed.map((value) => h("option", null, String(value))))
    : isMap(schema)
      ? h("textarea", { ...common, rows: 2, placeholder: "name=value, one a line" })
      : h("input", { ...common, type: "text", autocomplete: "off", spellcheck: "false", placeholder: example === undefined ? "" : String(example) });
  input.value = typed.get(parameter.name) ?? "";
  const label = h("label", { for: id }, h("code", null, parameter.name), " ", h("span", { class: "type" }, parameter.in),
    parameter.required ? h("span", { class: "required" }, "required") : null);
  return { parameter, input, view: h("div", { class: "input" }, label, input) };
}

const isMap = (schema) => schema.type === "object" || (Array.isArray(schema.type) && schema.type.includes("object"));

/** Names and values of a query parameter, by its style. */
function pairs(api, parameter, text) {
  const schema = resolve(api, parameter.schema ?? {});
  if (isMap(schema)) {
    return text.split("\n").filter((line) => line.includes("=")).map((line) => {
      const at = line.indexOf("=");
      return [parameter.name + "[" + line.slice(0, at).trim() + "]", line.slice(at + 1).trim()];
    });
  }
  const list = [schema.type].flat().includes("array");
  if (list && parameter.explode !== false) return text.split(",").map((value) => [parameter.name, value.trim()]);
  return [[parameter.name, text]];
}

const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";

/** Reads the text of the body up to the limit; a longer stream is not read to its end. */
async function read(response) {
  const reader = response.body?.getReader();
  if (!reader) return { shown: "", cut: false };
  const decoder = new TextDecoder();
  let shown = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { shown: shown + decoder.decode(), cut: false };
    shown += decoder.decode(value, { stream: true });
    if (shown.length > LONGEST_SHOWN) {
      await reader.cancel();
      return { shown: shown.slice(0, LONGEST_SHOWN), cut: true };
    }
  }
}

function answerView(response, text, cut, milliseconds) {
  let shown = text;
  if (!cut && response.headers.get("content-type")?.includes("json")) {
    // What claims to be JSON and is not is shown as it is.
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { shown = text; }
  }
  const good = response.status < 300;
  return [
    h("p", { class: "status" },
      h("strong", { class: good ? "good" : "bad" }, response.status + " " + response.statusText),
      " in " + Math.round(milliseconds) + " ms, " + text.length.toLocaleString("en") + " characters" + (cut ? " and more" : "")),
    h("details", null, h("summary", null, "Headers"),
      h("pre", { tabindex: "0" }, [...response.headers].map(([name, value]) => name + ": " + value).join("\n"))),
    shown ? h("div", { class: "code-box" }, h("pre", { class: "answer-body", tabindex: "0", "aria-label": "Body" }, shown), copyButton(() => shown))
      : h("p", { class: "hint" }, "No body."),
  ];
}
