// Which of the lines that were read stands where in the text that is shown.

/** Lines that rules may have added or removed at one place. */
const MOST_SKIPPED = 40;
/** What rules and tables change in a line without changing what it says. */
const DRESS = /<br\s{0,3}\/?>|[\s|\\]+/gi;

const bare = (text) => text.normalize("NFKC").replace(DRESS, "");

/** Return for each shown text the index of its line, or -1; both are in reading order. */
export function align(shown, lines) {
  const texts = shown.map(bare);
  const keys = lines.map((line) => bare(line.text));
  const places = Array(texts.length).fill(-1);
  let [at, next] = [0, 0];
  while (at < texts.length && next < keys.length) {
    const [more, later] = meeting(texts, keys, at, next);
    if (later >= 0) {
      places[at + more] = next + later;
      next += later + 1;
    }
    at += more + 1;
  }
  return places;
}

/** Return how far from here the two agree again: [texts to pass, lines to pass, or -1]. */
function meeting(texts, keys, at, next) {
  for (let skipped = 0; skipped <= MOST_SKIPPED; skipped += 1) {
    for (let more = 0; more <= skipped; more += 1) {
      const text = texts[at + more];
      if (text && text === keys[next + skipped - more]) return [more, skipped - more];
    }
  }
  return [0, -1];
}
