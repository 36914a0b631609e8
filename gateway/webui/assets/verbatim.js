// Text that was read from a picture: shown word for word, and never taken for Markdown.

import { make } from "./dom.js";
import { isTable, tableEnd, tableNode } from "./tables.js";

/** Return the nodes of a text; tables become tables only where the reader was asked to mark them. */
export function verbatim(text, { tables = true } = {}) {
  const lines = text.split("\n");
  const nodes = [];
  let prose = [];
  const flush = () => {
    const part = prose.join("\n").replace(/^\n+|\n+$/g, "");
    if (part) nodes.push(make("p", { class: "verbatim", dir: "auto" }, part));
    prose = [];
  };
  for (let at = 0; at < lines.length; ) {
    if (!tables || !isTable(lines, at)) {
      prose.push(lines[at]);
      at += 1;
      continue;
    }
    flush();
    const end = tableEnd(lines, at);
    nodes.push(tableNode(lines.slice(at, end), (cell) => [cell]));
    at = end;
  }
  flush();
  return nodes;
}
