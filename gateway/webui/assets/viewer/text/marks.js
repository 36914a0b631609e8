// The lines and cells of read text that is shown already, found again as spots.

import { make } from "../../dom.js";
import { align } from "./aligning.js";

/** Lines that a browser lays out together: of a long text, lighting up one would lay out all. */
const TOGETHER = 50;

/** Call `mark(node, spot)` with each line and cell that is a spot; all characters stay as they are. */
export function markLines(words, lines, spots, mark) {
  const blocks = [...words.querySelectorAll(".verbatim, .wide")].map(rowsIn);
  const rows = blocks.flatMap((block) => block.rows);
  const byLine = grouped(spots);
  align(rows.map((row) => row.text), lines).forEach((line, n) => (rows[n].spots = byLine.get(line) ?? []));
  for (const { paragraph, rows: own } of blocks) {
    if (paragraph) markParagraph(paragraph, own, mark);
    else own.forEach((row) => markCells(row, mark));
  }
}

function rowsIn(block) {
  if (block.matches(".verbatim")) return { paragraph: block, rows: block.textContent.split("\n").map((text) => ({ text })) };
  const rows = [...block.querySelectorAll("tr")].map((row) => {
    const cells = [...row.children];
    return { cells, text: cells.map((cell) => cell.textContent).join(" ") };
  });
  return { paragraph: null, rows };
}

function markParagraph(paragraph, rows, mark) {
  const parts = rows.map(({ text, spots }) => {
    if (!spots.length) return text;
    const line = make("span", { class: "line" }, text);
    // a row of a table that is shown as a line is one spot, at the first of its cells
    mark(line, spots[0]);
    return line;
  });
  const last = parts.length - 1;
  const ended = parts.map((part, n) => (n < last ? [part, "\n"] : [part]));
  const blocks = [];
  for (let at = 0; at < ended.length; at += TOGETHER) {
    blocks.push(make("span", { class: "lines" }, ...ended.slice(at, at + TOGETHER).flat()));
  }
  paragraph.replaceChildren(...(blocks.length > 1 ? blocks : ended.flat()));
}

function markCells({ cells, spots }, mark) {
  for (const spot of spots) {
    const cell = cells[spot.cell];
    if (cell && cell.textContent) mark(cell, spot);
  }
}

function grouped(spots) {
  const groups = new Map();
  for (const spot of spots) groups.set(spot.line, [...(groups.get(spot.line) ?? []), spot]);
  return groups;
}
