// What of a reading is doubtful, and why: marked letters, readers that differ, values without evidence.

import { say } from "../../words.js";

/** Below this, a line that one reader alone has read is looked at; of two readers every difference is. */
const LOW_CONFIDENCE = 0.7;
/** Longer lines are compared as a whole. */
const MOST_LETTERS = 600;
const UNREAD = /\[\?\]/g;

/** Return {ranges: [[start, stop]], sentences} of a line, or null; see docs/boxes.md for its members. */
export function doubtOfLine(line) {
  const unread = [...line.text.matchAll(UNREAD)].map(({ index }) => [index, index + 3]);
  const unlike = unlikeParts(line);
  if (!unread.length && !unlike) return null;
  const sentences = [unread.length ? say("doubtUnread") : null, unlike?.sentence];
  return { ranges: joined([...unread, ...(unlike?.ranges ?? [])]), sentences: sentences.filter(Boolean) };
}

function unlikeParts({ text, agreement, other, confidence }) {
  const whole = [[0, text.length]];
  if (typeof agreement === "number") {
    if (other) return { ranges: differences(text, other), sentence: say("doubtOther", { other, n: Math.round(100 * agreement) }) };
    return agreement < 1 ? { ranges: whole, sentence: say("doubtAlone") } : null;
  }
  const isLow = typeof confidence === "number" && confidence < LOW_CONFIDENCE;
  return isLow ? { ranges: whole, sentence: say("doubtLow", { n: Math.round(100 * confidence) }) } : null;
}

/** Return the doubt of a part of a line, such as a cell, or null. */
export function doubtOfPart(line, doubt, part, from) {
  const start = doubt && part ? line.text.indexOf(part, from) : -1;
  if (start < 0) return null;
  const ranges = doubt.ranges
    .map(([first, stop]) => [Math.max(0, first - start), Math.min(part.length, stop - start)])
    .filter(([first, stop]) => first < stop);
  return ranges.length ? { ...doubt, ranges } : null;
}

/** Return the doubt of a value of a JSON answer, or null; `known` is its evidence. */
export function doubtOfValue(text, known) {
  if (!known.status || known.status === "supported") return null;
  const sentence = say(known.status === "not_found" ? "doubtNotFound" : "doubtUnverified");
  return { ranges: [[0, text.length]], sentences: [sentence] };
}

/** Return the parts of a text that another one has not; all of it where only letters are missing. */
function differences(text, other) {
  const mine = letters(text);
  const theirs = letters(other);
  const whole = [[0, text.length]];
  if (mine.length > MOST_LETTERS || theirs.length > MOST_LETTERS) return whole;
  const shared = sharedPlaces(mine, theirs);
  const parts = mine.filter((_, n) => !shared.has(n)).map(({ at, letter }) => [at, at + letter.length]);
  return parts.length ? joined(parts) : whole;
}

/** Return the letters of a text and where they stand, without blanks and the bars of tables. */
function letters(text) {
  const found = [];
  let at = 0;
  for (const letter of text) {
    if (!/[\s|\\]/.test(letter)) found.push({ letter, at });
    at += letter.length;
  }
  return found;
}

/** Return which of `mine` belong to the longest sequence that both have. */
function sharedPlaces(mine, theirs) {
  const width = theirs.length + 1;
  const most = new Uint16Array((mine.length + 1) * width);
  const same = (row, column) => mine[row].letter === theirs[column].letter;
  for (let row = mine.length - 1; row >= 0; row -= 1) {
    for (let column = theirs.length - 1; column >= 0; column -= 1) {
      const [below, beside] = [(row + 1) * width + column, row * width + column + 1];
      most[row * width + column] = same(row, column) ? most[below + 1] + 1 : Math.max(most[below], most[beside]);
    }
  }
  const shared = new Set();
  for (let row = 0, column = 0; row < mine.length && column < theirs.length; ) {
    if (same(row, column)) {
      shared.add(row);
      row += 1;
      column += 1;
    } else if (most[(row + 1) * width + column] >= most[row * width + column + 1]) row += 1;
    else column += 1;
  }
  return shared;
}

/** Return ranges in their order, those that touch made one. */
function joined(ranges) {
  const merged = [];
  for (const [start, stop] of ranges.sort((one, two) => one[0] - two[0])) {
    const last = merged.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], stop);
    else merged.push([start, stop]);
  }
  return merged;
}
