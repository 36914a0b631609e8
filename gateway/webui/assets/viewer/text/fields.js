// The values of a JSON answer as a table: what each is called, what it is, and whether it is printed.

import { make } from "../../dom.js";
import { say } from "../../words.js";

/** Return the values of an answer, in their order: [{pointer, path, value, text}]. */
export function valuesOf(json, pointer = "", path = []) {
  if (json === null || typeof json !== "object") {
    return [{ pointer, path, value: json, text: json === null ? "" : String(json) }];
  }
  return Object.entries(json).flatMap(([name, part]) =>
    valuesOf(part, `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`, [...path, nameOf(json, name)]),
  );
}

const nameOf = (parent, name) => (Array.isArray(parent) ? String(Number(name) + 1) : name);

/** Return the table of values, in which a spot is shown by `mark(cell, spot)`, and the JSON below it. */
export function fieldsNode(values, spots, raw, mark) {
  const known = new Map(spots.map((spot) => [spot.id, spot]));
  const rows = values.map((value) => row(value, known.get(`/json${value.pointer}`), mark));
  const titles = ["fieldName", "fieldValue", "fieldProof"].map((title) => make("th", { scope: "col" }, say(title)));
  const table = make("table", { class: "fields" }, make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...rows));
  const whole = make("details", { class: "raw" }, make("summary", {}, "JSON"), ...raw);
  return [make("div", { class: "wide", tabindex: "0" }, table), whole];
}

function row({ path, text }, spot, mark) {
  const value = make("td", { dir: "auto" });
  if (spot) mark(value, spot);
  else value.textContent = text || "–";
  const proof = spot ? make("td", { class: `proof ${spot.status}` }, say(`proof_${spot.status}`)) : make("td", {}, "");
  return make("tr", {}, make("th", { scope: "row" }, path.join(" › ") || "JSON"), value, proof);
}
