// What an answer is about: pictures, or pages of a document, each as a sheet that can be shown.

import { get, imageAddress, pageAddress } from "../../api.js";
import { say } from "../../words.js";

const SHOWN_DPI = 150;

/**
 * Return the sheets of a job's input: [{key, name, address(), size()}]. `size` resolves with the
 * measures that places on it have, null where these are its pixels.
 */
export function sheetsOf({ document: file, images }) {
  if (file) return pagesOf(file);
  return images.map(({ id }, number) => ({
    key: `image-${number}`,
    name: images.length > 1 ? say("imageNumber", { n: number + 1 }) : say("picture"),
    address: () => imageAddress(id),
    size: async () => null,
  }));
}

function pagesOf(file) {
  let header = null;
  const headerOf = () => (header ??= get(`/v1/documents/${file.id}`));
  return file.pages.map((number) => ({
    key: `page-${number}`,
    name: say("pageNumber", { n: number }),
    address: () => pageAddress(file.id, number, SHOWN_DPI, { turn: false }),
    size: async () => (await headerOf()).pages[number - 1],
  }));
}
