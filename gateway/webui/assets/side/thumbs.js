// The small picture of a conversation: drawn once from its first picture and kept in this browser.

import { get, imageAddress, pageAddress } from "../api.js";
import { THUMB_DPI } from "../ask/pictures.js";
import { keep, keptOf } from "./kept.js";

/** Pixels of a side; twice as it is shown, for sharp screens. */
const SIDE = 80;
const QUALITY = 0.75;
const asked = new Set();

/** Keep the first picture and file name of a question as those of its conversation. */
export async function keepFirst(id, images) {
  const [first] = images;
  if (!first || keptOf(id).thumb) return;
  if (first.name) keep(id, { file: first.name });
  keep(id, { thumb: await drawnFrom(addressesOf(first)) });
}

/** Return where the picture of an image or a document's first page may be, as functions. */
function addressesOf({ id, pages, only, address }) {
  if (pages) return [() => pageAddress(id, only ?? 1, THUMB_DPI)];
  // a browser cannot draw every file that the service reads
  return [...(address ? [() => address] : []), () => imageAddress(id)];
}

async function drawnFrom([first, ...others]) {
  try {
    return await drawn(await first());
  } catch (error) {
    if (!others.length) throw error;
    return drawnFrom(others);
  }
}

/** Learn the picture of a conversation that another browser began; at most once a visit. */
export async function learn(id) {
  if (asked.has(id) || keptOf(id).thumb) return false;
  asked.add(id);
  const { data } = await get(`/v1/jobs?session_id=${id}&limit=100`, { quiet: true });
  const first = data.filter((job) => job.input.document || job.input.images.length).at(-1);
  if (!first) return false;
  const { document: file, images } = first.input;
  const name = file?.name ?? images[0]?.name ?? first.metadata?.files?.[0];
  await keepFirst(id, [file ? { id: file.id, name, pages: file.page_count, only: file.pages[0] } : { id: images[0].id, name }]);
  return true;
}

async function drawn(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const brush = canvas.getContext("2d");
  brush.fillStyle = "#fff";
  brush.fillRect(0, 0, SIDE, SIDE);
  // the upper left corner of a page says more than its middle
  const side = Math.min(image.naturalWidth, image.naturalHeight);
  brush.drawImage(image, 0, 0, side, side, 0, 0, SIDE, SIDE);
  return canvas.toDataURL("image/jpeg", QUALITY);
}
