// The values of a JSON answer as a table: what each is called, what it is, and whether it is printed.

import { make } from "../../dom.js";
import { say } from "../../words.js";
import { missing } from "./painting.js";

/** Return the values of an answer, in their order, and its empty lists and objects: [{pointer, path, value, text}]. */
export function valuesOf(json, pointer = "", path = []) {
  if (json === null || typeof json !== "object") {
    return [{ pointer, path, value: json, text: json === null ? "" : String(json) }];
  }
  const parts = Object.entries(json);
  if (!parts.length) return [{ pointer, path, value: json, text: "" }];
  return parts.flatMap(([name, part]) =>
    valuesOf(part, `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`, [...path, nameOf(json, name)]),
  );
}

const nameOf = (parent, name) => (Array.isArray(parent) ? String(Number(name) + 1) : name);

/** Is an answer a set of values that can be shown as a table? */
export const hasValues = ({ json, evidence }) => Boolean(evidence || (json && typeof json === "object"));

/** Return the table of values, in which a spot is shown by `mark(cell, spot)`, and the JSON below it. */
export function fieldsNode(values, spots, raw, mark) {
  const known = new Map(spots.map((spot) => [spot.id, spot]));
  const isProven = spots.some(({ status }) => status);
  const rows = values.map((value) => row(value, known.get(`/json${value.pointer}`), isProven, mark));
  const titles = ["fieldName", "fieldValue", ...(isProven ? ["fieldProof"] : [])].map((title) => make("th", { scope: "col" }, say(title)));
  const table = make("table", { class: "fields" }, make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...rows));
  const whole = make("details", { class: "raw" }, make("summary", {}, "JSON"), ...raw);
  return [make("div", { class: "wide", tabindex: "0" }, table), whole];
}

function row({ path }, spot, isProven, mark) {
  const value = make("td", { dir: "auto" });
  if (spot) mark(value, spot);
  else value.append(missing());
  return make("tr", {}, make("th", { scope: "row" }, path.join(" › ") || "JSON"), value, isProven ? proof(spot?.status) : null);
}

const proof = (status) => (status ? make("td", { class: `proof ${status}` }, say(`proof_${status}`)) : make("td", {}, ""));
