// An answer in a Markdown file: text that was read stays as it was read.

import { isTable, tableEnd } from "../tables.js";

/** Return read text with its tables as they are and all else fenced, so that no sign becomes a mark. */
export function fenced(text) {
  const lines = text.split("\n");
  const parts = [];
  let prose = [];
  const flush = () => {
    const part = prose.join("\n").replace(/^\n+|\n+$/g, "");
    if (part) parts.push(fence(part));
    prose = [];
  };
  for (let at = 0; at < lines.length; ) {
    if (!isTable(lines, at)) {
      prose.push(lines[at]);
      at += 1;
      continue;
    }
    flush();
    const end = tableEnd(lines, at);
    parts.push(lines.slice(at, end).join("\n"));
    at = end;
  }
  flush();
  return parts.join("\n\n");
}

/** Return a text between marks that are longer than any in it. */
function fence(text) {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const mark = "`".repeat(longest + 1);
  return `${mark}text\n${text}\n${mark}`;
}
