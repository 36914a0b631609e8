// Asking so that an answer can be shown beside its picture: with the places of what was read.

import { find } from "../dom.js";
import { told } from "../words.js";

/** Pages of one answer whose lines the service tells places of. */
const MOST_PAGES = 300;

/**
 * Return the parameters that ask for places, as far as the service can find them: of the lines that
 * a preset reads, or of the values of a JSON answer.
 */
export function placesWanted({ preset, images, options = {} }) {
  // who reads is offered where a running worker has the reader that finds places
  if (!images.length || find("readers").hidden) return {};
  if (preset === "fields" || options.response_format?.type?.startsWith("json")) return { evidence: true };
  const pages = images[0].only ? 1 : (images[0].pages ?? 1);
  return told.reading.includes(preset) && pages <= MOST_PAGES ? { boxes: "line" } : {};
}
