// A question as the service wants it.

import { needs } from "./settings/options.js";
import { placesWanted } from "./viewer/asking.js";
import { presetName, told } from "./words.js";

/** Tokens of an answer to a question in one's own words. */
export const MAX_TOKENS = 512;
/** Characters of a question that are kept beside its job, for when it leaves no turn. */
const KEPT_CHARS = 800;
/** Characters of a file's name that are kept as well. */
const NAME_CHARS = 60;
/** What stands between the words that are looked for. */
const BETWEEN_LABELS = /\s*[,，、;；\n]\s*/;

/** Return the body of POST /v1/jobs for a question; without a session it stands for itself. */
export function jobBody({ prompt, preset, words, images, tokens, reader, options = {} }, session) {
  const question = preset ? ofPreset(preset, words) : { prompt, max_new_tokens: MAX_TOKENS };
  const [first] = images;
  return {
    ...question,
    ...options,
    ...(tokens ? { max_new_tokens: tokens } : {}),
    ...(reader ? { reader } : {}),
    ...placesWanted({ preset, images, options }),
    ...(first?.pages ? documentOf(first) : { images: images.map((image) => image.id) }),
    ...(session ? { session_id: session } : {}),
    metadata: { question: (words || prompt || presetName(preset)).slice(0, KEPT_CHARS), ...namesOf(images) },
  };
}

/** Return what asks a ready-made question, with the asker's words where it takes some. */
export const ofPreset = (preset, words) => ({
  preset,
  lang: told.language,
  ...(needs(preset, "prompt") ? { prompt: words } : {}),
  ...(needs(preset, "labels") ? { labels: words.split(BETWEEN_LABELS).filter(Boolean) } : {}),
});

/** Return what a question says of its document, and of the one page that it is about. */
const documentOf = ({ id, only }) => ({ document: id, ...(only ? { pages: [only] } : {}) });

/** Return the names of a question's files, as far as they are known. */
function namesOf(images) {
  const files = images.map((image) => (image.name ?? "").slice(0, NAME_CHARS));
  return files.some(Boolean) ? { files } : {};
}
