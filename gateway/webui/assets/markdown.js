// Markdown of a model as DOM nodes. Its text never becomes HTML; pictures and raw tags stay text.

import { make } from "./dom.js";
import { isTable, tableEnd, tableNode } from "./tables.js";

const FENCE = /^\s*(```|~~~)/;
const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^\s*([-*_])(\s*\1){2,}\s*$/;
const ITEM = /^\s*([-*+]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^\s*>\s?(.*)$/;
const INLINE = /(`+)(.+?)\1|\*\*(.+?)\*\*|__(.+?)__|\*(?!\s)(.+?)\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/;

/** Return the nodes that a Markdown text stands for. */
export function render(text) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const nodes = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const [node, next] = block(lines, at);
    nodes.push(node);
    at = next;
  }
  return nodes;
}

function block(lines, at) {
  const line = lines[at];
  if (FENCE.test(line)) return fenced(lines, at);
  if (isTable(lines, at)) return table(lines, at);
  const heading = HEADING.exec(line);
  if (heading) {
    const level = Math.min(5, heading[1].length + 2);
    return [make(`h${level}`, {}, ...inline(heading[2])), at + 1];
  }
  if (RULE.test(line)) return [make("hr"), at + 1];
  if (ITEM.test(line)) return list(lines, at);
  if (QUOTE.test(line)) return quote(lines, at);
  return paragraph(lines, at);
}

function fenced(lines, at) {
  const mark = FENCE.exec(lines[at])[1];
  let end = at + 1;
  while (end < lines.length && !lines[end].trimStart().startsWith(mark)) end += 1;
  const code = make("code", {}, lines.slice(at + 1, end).join("\n"));
  return [make("pre", { tabindex: "0" }, code), end + 1];
}

function table(lines, at) {
  const end = tableEnd(lines, at);
  return [tableNode(lines.slice(at, end), inline), end];
}

function list(lines, at) {
  const ordered = /\d/.test(ITEM.exec(lines[at])[1]);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const item = ITEM.exec(lines[end]);
    if (!item || /\d/.test(item[1]) !== ordered) break;
    items.push(make("li", {}, ...inline(item[2])));
    end += 1;
  }
  const start = ordered ? Number.parseInt(ITEM.exec(lines[at])[1], 10) : undefined;
  return [make(ordered ? "ol" : "ul", { start }, ...items), end];
}

function quote(lines, at) {
  let end = at;
  const inner = [];
  while (end < lines.length && QUOTE.test(lines[end])) {
    inner.push(QUOTE.exec(lines[end])[1]);
    end += 1;
  }
  return [make("blockquote", {}, ...withBreaks(inner)), end];
}

function paragraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !startsBlock(lines, end)) end += 1;
  return [make("p", {}, ...withBreaks(lines.slice(at, end))), end];
}

const startsBlock = (lines, at) =>
  [FENCE, HEADING, ITEM, QUOTE, RULE].some((form) => form.test(lines[at])) || isTable(lines, at);

function withBreaks(lines) {
  return lines.flatMap((line, n) => (n ? [make("br"), ...inline(line)] : inline(line)));
}

function inline(text) {
  const nodes = [];
  let rest = text;
  for (let found = INLINE.exec(rest); found; found = INLINE.exec(rest)) {
    if (found.index) nodes.push(rest.slice(0, found.index));
    nodes.push(marked(found));
    rest = rest.slice(found.index + found[0].length);
  }
  if (rest) nodes.push(rest);
  return nodes;
}

function marked([, ticks, code, strong, bold, slanted, label, address]) {
  if (ticks) return make("code", {}, code);
  if (strong ?? bold) return make("strong", {}, ...inline(strong ?? bold));
  if (slanted) return make("em", {}, ...inline(slanted));
  return make("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, label);
}

/** Return a Markdown text without its marks. */
export function plain(text) {
  const holder = make("div", {}, ...render(text));
  for (const node of holder.querySelectorAll("br")) node.replaceWith("\n");
  for (const row of holder.querySelectorAll("tr")) {
    row.replaceChildren([...row.children].map((cell) => cell.textContent).join("\t") + "\n");
  }
  for (const item of holder.querySelectorAll("li")) item.append("\n");
  return [...holder.children].map((node) => node.textContent.trimEnd()).join("\n\n");
}
