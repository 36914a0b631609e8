// Who reads the text of pictures: a choice beside the ready-made questions, kept in this browser.

import { find } from "../dom.js";
import { told } from "../words.js";

const KEPT_AS = "reader";

/** Offer the choice where a running worker has a second reader; `workers` as /v1/queue lists them. */
export function offerReaders(workers) {
  find("readers").hidden = !workers.some((worker) => worker.reader && !worker.draining);
}

/** Remember what is chosen, where the browser allows it. */
export function wireReaders() {
  const choice = find("reader");
  try {
    choice.value = localStorage.getItem(KEPT_AS) ?? "";
    if (choice.selectedIndex < 0) choice.value = "";
    choice.addEventListener("change", () => localStorage.setItem(KEPT_AS, choice.value));
  } catch {
    // it holds for as long as the page is open
  }
}

/** Return who is to read for a question about these pictures; null leaves it to the service. */
export function chosenReader(preset, images) {
  const reads = told.reading.includes(preset) && images.length > 0;
  return reads && !find("readers").hidden ? find("reader").value || null : null;
}
