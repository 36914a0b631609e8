// Tables that are written in Markdown: found in lines, and built with every cell of every row.

import { make } from "./dom.js";

const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const BREAK = /<br\s{0,3}\/?>/gi;

/** Does a table begin at this line? */
export const isTable = (lines, at) =>
  lines[at].includes("|") && at + 1 < lines.length && lines[at + 1].includes("-") &&
  lines[at + 1].includes("|") && DIVIDER.test(lines[at + 1]);

/** Return the line behind the table that begins at a line. */
export function tableEnd(lines, at) {
  const opened = lines[at].trimStart().startsWith("|");
  let end = at + 2;
  while (end < lines.length && (opened ? lines[end].trimStart().startsWith("|") : lines[end].includes("|"))) end += 1;
  return end;
}

/** Return the node of a table of lines; `show` makes the nodes of a cell's text. */
export function tableNode(lines, show) {
  const [head, ...body] = lines.filter((_, n) => n !== 1).map(cellsOf);
  // a row that is longer than the header loses nothing
  const width = Math.max(head.length, ...body.map((row) => row.length));
  const padded = (row) => Array.from({ length: width }, (_, n) => row[n] ?? "");
  const titles = padded(head).map((cell) => make("th", { scope: "col" }, ...show(cell)));
  const rows = body.map((row) => make("tr", {}, ...padded(row).map((cell) => make("td", {}, ...show(cell)))));
  const whole = make("table", {}, make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...rows));
  // a wide table scrolls by itself, also by keyboard
  return make("div", { class: "wide", tabindex: "0" }, whole);
}

/** Return the texts of the cells of a row. */
export function cellsOf(line) {
  const parts = line.trim().split(/(?<!\\)\|/);
  if (parts.length > 1 && !parts[0].trim()) parts.shift();
  if (parts.length > 1 && !parts.at(-1).trim()) parts.pop();
  return parts.map((cell) => cell.trim().replaceAll("\\|", "|").replace(BREAK, "\n"));
}
