// What does not fit is said when a file is chosen, from the limits of the service.

import { say, told } from "../words.js";

const MEGABYTE = 2 ** 20;

/** Tell whether a file is one of several pages; a TIFF of one page is found to be a picture. */
export const isDocument = (file) => file.type === "application/pdf" || /\.(pdf|tiff?)$/i.test(file.name ?? "");

/** Return why a file cannot be taken beside the pictures `kept` already, in a sentence; null if it can. */
export function objection(file, kept) {
  const name = file.name || say("untitled");
  const most = isDocument(file) ? told.max_document_bytes : told.max_bytes;
  if (file.type && !file.type.startsWith("image/") && !isDocument(file)) return say("notImage", { name, formats: told.formats.join(say("comma")) });
  if (!file.size) return say("emptyFile", { name });
  if (file.size > most) return say("tooLarge", { name, has: megabytes(file.size), size: megabytes(most) });
  if (kept.length && (isDocument(file) || kept.some((one) => one.isDocument))) return say("oneDocument");
  return kept.length >= told.max_images ? say("tooMany", { n: told.max_images }) : null;
}

/** Return bytes as megabytes, exact enough to tell a file from its limit. */
function megabytes(bytes) {
  const value = bytes / MEGABYTE;
  return value >= 10 ? Math.floor(value) : Math.floor(value * 100) / 100;
}
