// Schemas: resolves references, makes samples, and shows fields.
import { h, prose } from "./dom.js";

const DEEPEST = 8;

/** Follows a reference into the document; fields beside the reference win. */
export function resolve(api, value) {
  let found = value;
  for (let steps = 0; found?.$ref && steps < 20; steps++) {
    const { $ref, ...beside } = found;
    const target = $ref.replace(/^#\//, "").split("/")
      .map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"))
      .reduce((at, part) => at?.[part], api);
    found = { ...target, ...beside };
  }
  return found ?? {};
}

/** Merges `allOf` into one schema. */
function whole(api, schema) {
  const own = resolve(api, schema);
  if (!own.allOf) return own;
  const { allOf, ...rest } = own;
  return allOf.map((part) => whole(api, part)).reduceRight(
    (sum, part) => ({
      ...part, ...sum,
      properties: { ...part.properties, ...sum.properties },
      required: [...(part.required ?? []), ...(sum.required ?? [])],
    }),
    rest,
  );
}

const isNull = (schema) => schema?.type === "null";
const types = (schema) => [schema.type ?? []].flat();
const choices = (schema) => (schema.oneOf ?? schema.anyOf ?? []).filter((part) => !isNull(part));

/** Returns a sample of the schema: its example, or one built from its parts; `sparing` leaves out optional parts without an example. */
export function sample(api, schema, sparing = false, depth = 0) {
  const own = whole(api, schema);
  if (own.example !== undefined) return own.example;
  for (const known of [own.examples?.[0], own.const, own.default, own.enum?.[0]]) if (known !== undefined) return known;
  const [first] = choices(own);
  if (first) return sample(api, first, sparing, depth + 1);
  if (depth > DEEPEST) return null;
  const kind = types(own).find((name) => name !== "null") ?? (own.properties ? "object" : null);
  switch (kind) {
    case "object":
      return Object.fromEntries(Object.entries(own.properties ?? {})
        .filter(([name, part]) => !sparing || own.required?.includes(name) || shown(resolve(api, part)))
        .map(([name, part]) => [name, sample(api, part, sparing, depth + 1)]));
    case "array":
      return [sample(api, own.items ?? {}, sparing, depth + 1)];
    case "boolean":
      return true;
    case "integer":
    case "number":
      return own.minimum ?? 1;
    case "string":
      return { "date-time": "2026-11-21T10:00:00Z", uuid: "7d9f8a52-0c5e-4d38-9d63-3b1b9a1f0c44" }[own.format] ?? (own.title ? "<" + own.title + ">" : "text");
    default:
      return null;
  }
}

const shown = (schema) => schema.example !== undefined || schema.examples !== undefined;

/** Returns the sample of a body: the media type's example, or one of the schema. */
export function bodySample(api, content, sparing = false) {
  const named = Object.values(content.examples ?? {})[0];
  return content.example ?? resolve(api, named).value ?? sample(api, content.schema ?? {}, sparing);
}

/** Returns the name of a schema's type in a few words. */
export function typeName(api, schema) {
  const own = whole(api, schema);
  if (own.enum) return own.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (own.const !== undefined) return JSON.stringify(own.const);
  const parts = choices(own);
  const nullable = (own.oneOf ?? own.anyOf ?? []).some(isNull) || types(own).includes("null");
  let name = "any";
  if (parts.length === 1) name = typeName(api, parts[0]);
  else if (parts.length) name = "one of " + parts.length + " forms";
  else {
    const kinds = types(own).filter((kind) => kind !== "null");
    if (kinds[0] === "array") name = "list of " + typeName(api, own.items ?? {});
    else if (kinds.length) name = kinds.join(" or ");
    else if (own.properties) name = "object";
    if (own.format) name += " (" + own.format + ")";
  }
  return nullable ? name + " or null" : name;
}

function limits(own) {
  const told = [];
  const tell = (label, value) => value !== undefined && told.push(label + " " + value);
  tell("at least", own.minimum);
  tell("at most", own.maximum);
  tell("shortest", own.minLength);
  tell("longest", own.maxLength);
  tell("fewest", own.minItems);
  tell("most", own.maxItems);
  if (own.default !== undefined) told.push("default " + JSON.stringify(own.default));
  return told.join(", ");
}

/** Shows name, type, rules and description of a value, and its parts. */
export function field(api, name, schema, required, description, depth = 0) {
  const own = whole(api, schema);
  const rules = limits(own);
  const example = own.example ?? own.examples?.[0];
  return h("li", null,
    h("div", { class: "field" },
      h("code", { class: "field-name" }, name), " ",
      h("span", { class: "type" }, typeName(api, schema)),
      required ? h("span", { class: "required" }, "required") : null,
      rules ? h("span", { class: "rules" }, rules) : null),
    description || own.description ? h("div", { class: "about" }, prose(description ?? own.description)) : null,
    own.pattern ? h("div", { class: "about" }, "Pattern ", h("code", null, own.pattern)) : null,
    example !== undefined && typeof example !== "object" ? h("div", { class: "about" }, "Example ", h("code", null, String(example))) : null,
    parts(api, own, depth + 1));
}

/** Returns the same with the required ones first. */
export const requiredFirst = (all, isRequired) => [...all.filter(isRequired), ...all.filter((one) => !isRequired(one))];

/** Shows the parts of a schema, if it has any. */
function parts(api, own, depth) {
  if (depth > DEEPEST) return null;
  const forms = choices(own);
  if (forms.length === 1) return parts(api, whole(api, forms[0]), depth);
  if (forms.length) {
    return forms.map((form, index) => {
      const one = whole(api, form);
      return fold(one.title ?? "Form " + (index + 1) + ": " + typeName(api, one), depth <= 1, one.description ? h("p", null, prose(one.description)) : null, parts(api, one, depth + 1));
    });
  }
  if (own.items) return parts(api, whole(api, own.items), depth);
  const named = requiredFirst(Object.entries(own.properties ?? {}), ([name]) => own.required?.includes(name));
  if (!named.length) return null;
  const list = () => h("ul", { class: "fields" },
    named.map(([name, part]) => field(api, name, part, own.required?.includes(name), part.description, depth)));
  return depth <= 1 ? list() : lazyFold(named.length + (named.length === 1 ? " field" : " fields"), list);
}

function fold(title, open, ...content) {
  return h("details", { open }, h("summary", null, title), ...content);
}

/** Builds its content when it is first opened, so that deep schemas cost nothing and may refer to themselves. */
function lazyFold(title, content) {
  let made = false;
  const details = h("details", { toggle: () => { if (details.open && !made) { made = true; details.append(content()); } } }, h("summary", null, title));
  return details;
}

/** Shows a schema. */
export function schemaView(api, schema) {
  const own = whole(api, schema);
  const inside = parts(api, own, 0);
  return inside ? h("div", { class: "schema" }, types(own).includes("array") ? h("p", { class: "type" }, typeName(api, own)) : null, inside)
    : h("p", { class: "type" }, typeName(api, own));
}
