// Where two texts differ, word by word.

const WORD = /\s+|[\p{Script=Han}]|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu;
/** A table of more cells than this would take too long; then lines are compared. */
const MOST_CELLS = 4_000_000;

/** Return both texts as lists of [text, differs], with the same parts in common. */
export function differences(left, right) {
  const words = [left.match(WORD) ?? [], right.match(WORD) ?? []];
  const isMany = words[0].length * words[1].length > MOST_CELLS;
  const [a, b] = isMany ? [linesOf(left), linesOf(right)] : words;
  if (a.length * b.length > MOST_CELLS) return [[[left, left !== right]], [[right, left !== right]]];
  return marked(a, b);
}

const linesOf = (text) => text.match(/[^\n]*\n|[^\n]+/g) ?? [];

function marked(a, b) {
  const lengths = commonLengths(a, b);
  const [left, right] = [[], []];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      push(left, a[i++], false);
      push(right, b[j++], false);
    } else if (j >= b.length || (i < a.length && lengths[i + 1][j] >= lengths[i][j + 1])) push(left, a[i++], true);
    else push(right, b[j++], true);
  }
  return [left, right];
}

/** Return for each pair of places how many parts both have in common from there on. */
function commonLengths(a, b) {
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = a[i] === b[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}

function push(parts, text, differs) {
  const last = parts.at(-1);
  if (last?.[1] === differs) last[0] += text;
  else parts.push([text, differs]);
}
