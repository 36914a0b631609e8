// The reader's words: what the server told the page, sentences with numbers in them, and failures
// as sentences with a hint.

export const told = JSON.parse(document.getElementById("told").textContent);
const words = told.words;

/** Return the sentence `name` with its {places} filled in. */
export function say(name, places = {}) {
  const text = words[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, key) => (key in places ? String(places[key]) : whole));
}

/** Tell whether there is a sentence of this name. */
export const knows = (name) => name in words;

/** Return seconds as people say them. */
export function duration(seconds) {
  if (seconds >= 100) return say("minutes", { n: Math.round(seconds / 60) || 1 });
  const rounded = seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds);
  return say("seconds", { n: Math.max(0.1, rounded) });
}

// What is wrong stands only in the detail, which is in English.
const BY_DETAIL = new Set(["bad_parameters", "bad_constraint", "bad_request"]);

/** Return {message, hint} of a failure: a problem of the API, a job's error, or a broken line. */
export function failure(error) {
  const problem = error?.problem ?? error;
  const code = problem?.code;
  const translated = words.errors[code];
  const wait = error?.retryAfter ? say("comeBack", { time: duration(error.retryAfter) }) : null;
  const detail = BY_DETAIL.has(code) ? problem.detail ?? problem.message ?? "" : "";
  if (translated) return { message: translated[0] + detail, hint: wait ?? translated[1] };
  if (code) return { message: problem.detail ?? problem.message ?? code, hint: wait ?? problem.hint ?? "" };
  if (error instanceof TypeError) return { message: say("network"), hint: "" };
  return { message: say("unknown"), hint: error?.message ?? "" };
}

/** Return what a job's or an image's warning says; `{tail}` is what its detail names behind the last colon. */
export function warning({ code, detail }) {
  const sentence = words.warnings[code];
  const tail = () => detail.slice(detail.lastIndexOf(": ") + 1).trim();
  return sentence ? sentence.replace("{detail}", () => detail).replace("{tail}", tail) : `${detail[0].toUpperCase()}${detail.slice(1)}`;
}

/** Return the name of a preset in the reader's language. */
export function presetName(name) {
  return knows(`preset_${name}`) ? say(`preset_${name}`) : name;
}
