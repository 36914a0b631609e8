// Typed text as a value of a JSON answer: of the kind that stands there, or none at all.

import { Refused } from "../../api.js";
import { say } from "../../words.js";

/** Return the sentence that says what a value may be corrected to. */
export function kindOf(value) {
  const kind = value === null ? "missing" : typeof value;
  return say(`fixKind_${kind}`);
}

/**
 * Keep what was typed in place of a value. Only the service knows what the schema of the answer
 * wants where nothing stands: `keep` refuses what does not fit, and the next reading is tried.
 */
export async function keepValue(before, text, keep) {
  const [first, ...others] = readingsOf(before, text);
  try {
    await keep(first);
  } catch (error) {
    if (error.problem?.code !== "bad_review") throw error;
    if (!others.length) throw unfit(before, error);
    await keepOther(before, others[0], keep);
  }
}

async function keepOther(before, value, keep) {
  try {
    await keep(value);
  } catch (error) {
    throw error.problem?.code === "bad_review" ? unfit(before, error) : error;
  }
}

/** Return a refusal in the words of the page, which knows what was there. */
function unfit(before, { status }) {
  const detail = say(before === null ? "fixUnfit" : `fixKind_${typeof before}`);
  return new Refused(status, { code: "unfit", detail });
}

/** Return what a text may be, the likeliest first; without any text there is no value. */
function readingsOf(before, text) {
  const plain = text.trim();
  if (!plain) return [null];
  const literal = literalOf(plain);
  if (literal === undefined || typeof before === "string") return [text];
  return before === null ? [text, literal] : [literal, text];
}

/** Return the number or truth value that a text is, or undefined. */
function literalOf(text) {
  if (text === "true" || text === "false") return text === "true";
  // digits that a Chinese keyboard writes are digits
  const number = Number(text.normalize("NFKC"));
  return Number.isFinite(number) ? number : undefined;
}
