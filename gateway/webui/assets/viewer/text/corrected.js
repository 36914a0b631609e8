// The text of an answer as people have corrected it.

import { align } from "./aligning.js";
import { hasValues } from "./fields.js";

/** Bars that part the cells of a row; those of its text have a backslash before them. */
const BAR = /(?<!\\)\|/;

/** Return the text of an output with the corrections of its spots; `correction(spot)` as Review has it. */
export function correctedText(output, spots, correction) {
  const changed = spots.filter(correction);
  if (hasValues(output)) return withValues(output, changed, correction);
  const rows = output.text.split("\n");
  const places = align(rows, output.lines);
  for (const spot of changed) {
    const at = places.indexOf(spot.line);
    if (at >= 0) rows[at] = withSpot(rows[at], spot, String(correction(spot).value));
  }
  return rows.join("\n");
}

function withSpot(row, { cell }, value) {
  if (cell === undefined) return row.replace(/\S(.*\S)?/su, () => value);
  const parts = row.split(BAR);
  const first = parts[0].trim() ? 0 : 1;
  parts[first + cell] = ` ${value.replaceAll("|", "\\|").replaceAll("\n", "<br>")} `;
  return parts.join("|");
}

function withValues({ text, json }, changed, correction) {
  const copy = structuredClone(json);
  for (const spot of changed) put(copy, spot.says.split("/").slice(2).map(plain), correction(spot).value);
  return JSON.stringify(copy, null, text.trim().includes("\n") ? 2 : undefined);
}

const plain = (part) => part.replaceAll("~1", "/").replaceAll("~0", "~");

function put(json, path, value) {
  let parent = json;
  for (const name of path.slice(0, -1)) parent = parent[name];
  if (path.length) parent[path.at(-1)] = value;
}
