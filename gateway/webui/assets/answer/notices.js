// What went differently than asked: one sentence for each kind of warning, however many there are.

import { make } from "../dom.js";
import { knows, say, warning } from "../words.js";

/** So many different warnings of a kind are shown one by one. */
const SHOWN_APART = 2;
const PART = /^(?:Part|Page) (\d+)(?: of (\d+))?/;

/** Return the nodes of a job's warnings. */
export function notices(warnings = []) {
  return [...kindsOf(warnings ?? [])].flatMap(([code, kind]) => nodesOf(code, kind));
}

function kindsOf(warnings) {
  const kinds = new Map();
  for (const one of warnings) kinds.set(one.code, [...(kinds.get(one.code) ?? []), one]);
  return kinds;
}

function nodesOf(code, kind) {
  const parts = kind.map(({ detail }) => PART.exec(detail)).filter(Boolean);
  if (knows(`parts_${code}`) && parts.length === kind.length) return [note(partsSentence(code, parts))];
  const sentences = [...new Set(kind.map(warning))];
  if (sentences.length <= SHOWN_APART) return sentences.map(note);
  return [folded(sentences)];
}

const note = (sentence) => make("p", { class: "notice" }, sentence);

/** Return which parts or pages a kind of warning is about, and what to do. */
function partsSentence(code, parts) {
  const which = parts.map(([, number]) => number).join(say("comma"));
  const total = parts.find(([, , count]) => count)?.[2] ?? "";
  return say(`parts_${code}`, { which, total });
}

/** Return the first of many sentences, which opens to show the others. */
function folded([first, ...others]) {
  const head = make("summary", {}, say("warningMore", { sentence: first, n: others.length }));
  return make("details", { class: "notice" }, head, ...others.map((sentence) => make("p", {}, sentence)));
}
