// The form of an answer: names of fields, or a JSON Schema, from what is typed.

import { say } from "../words.js";

/** The bounds of the service. */
const MOST_FIELDS = 32;
const MOST_CHARS = 64;

/** Return the names in a text: one a line, or between commas. */
export function fieldNames(text) {
  const names = text.split(/[\n,，、;；]/).map((name) => name.trim());
  return [...new Set(names.filter(Boolean))];
}

/** Return what is wrong with names of fields, in a sentence; null if nothing is. */
export function problemOfFields(text) {
  const names = fieldNames(text);
  if (names.length > MOST_FIELDS) return say("tooManyFields", { n: MOST_FIELDS });
  const long = names.find((name) => name.length > MOST_CHARS);
  if (long) return say("longField", { name: `${long.slice(0, 20)}…`, n: MOST_CHARS });
  return names.length ? null : say("noFields");
}

/** Return why a form cannot be asked for, in a sentence; null if it can. */
export function problemOfForm({ form, fields, schema }) {
  if (form === "fields") return problemOfFields(fields);
  return form === "schema" && !parsed(schema) ? say("badSchema") : null;
}

/** Return the `response_format` of a form; null for plain words. */
export function responseFormat({ form, fields, schema }) {
  if (form === "json") return { type: "json_object" };
  if (form === "fields") return ofSchema(schemaOf(fieldNames(fields)));
  return form === "schema" ? ofSchema(parsed(schema)) : null;
}

const ofSchema = (schema) => ({ type: "json_schema", json_schema: { name: "answer", schema } });

/** Return the schema of an object whose fields are texts, or null where the picture has none. */
function schemaOf(names) {
  const properties = Object.fromEntries(names.map((name) => [name, { type: ["string", "null"] }]));
  return { type: "object", properties, required: names, additionalProperties: false };
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
