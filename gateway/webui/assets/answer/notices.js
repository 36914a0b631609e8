// What went differently than asked: one sentence for each kind of warning, however many there are.

import { make } from "../dom.js";
import { knows, say, warning } from "../words.js";

/** So many different warnings of a kind are shown one by one. */
const SHOWN_APART = 2;
const PART = /^(?:Part|Page) (\d+)(?: of (\d+))?/;

const ID = /\b(img_[0-9a-f]{8,})(: )?/g;

/** Return the nodes of a job's warnings; `images` as the job names them. */
export function notices(warnings, images) {
  const ids = (images ?? []).map(({ id }) => id);
  const plain = (warnings ?? []).map((one) => ({ ...one, detail: withoutIds(one.detail, ids) }));
  return [...kindsOf(plain)].flatMap(([code, kind]) => nodesOf(code, kind));
}

/** Return what a warning tells with pictures counted instead of named; an only one needs no number. */
function withoutIds(detail, ids) {
  return detail.replace(ID, (whole, id, colon = "") => {
    const number = ids.indexOf(id) + 1;
    if (ids.length < 2 && colon) return "";
    return number ? say("imageNumber", { n: number }) + colon : say("untitled") + colon;
  });
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
