// What this browser keeps of conversations beside what the service does: a name, a file, a picture.

const KEPT_AS = "sightline-conversations";
/** So many conversations are remembered, those used last. */
const MOST = 200;

/** Return what is kept of a conversation: {name, file, thumb}, each only if it is known. */
export const keptOf = (id) => readAll()[id] ?? {};

/** Keep something more of a conversation; undefined forgets a member. */
export function keep(id, members) {
  const all = readAll();
  const { [id]: before = {}, ...others } = all;
  writeAll({ ...others, [id]: { ...before, ...members } });
}

/** Forget a conversation. */
export function forget(id) {
  const { [id]: gone, ...others } = readAll();
  if (gone) writeAll(others);
}

function readAll() {
  try {
    return JSON.parse(localStorage.getItem(KEPT_AS)) ?? {};
  } catch {
    return {};
  }
}

/** Write everything; without room, without the pictures. */
function writeAll(all) {
  const newest = Object.entries(all).slice(-MOST);
  const named = newest.map(([id, { thumb, ...rest }]) => [id, rest]);
  for (const entries of [newest, named]) {
    try {
      localStorage.setItem(KEPT_AS, JSON.stringify(Object.fromEntries(entries)));
      return;
    } catch {
      // a full or forbidden storage: less, or nothing, is kept
    }
  }
}
