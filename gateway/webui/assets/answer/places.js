// What was looked for, marked on its pictures.

import { fetchBlob } from "../api.js";
import { enlarge } from "../asked.js";
import { make, speak } from "../dom.js";
import { failure, say } from "../words.js";

/** So many pictures or pages are shown. */
const MOST = 12;

/** Show the pictures of a job with the places of its answer, after a node; `button` asked for them. */
export async function showPlaces(job, node, button) {
  button.disabled = true;
  const names = job.output.objects.map(sheetOf);
  const sheets = [...new Set(names)].slice(0, MOST);
  try {
    const pictures = await Promise.all(sheets.map((sheet, n) => picture(job, sheet, n)));
    node.after(make("div", { class: "shown places" }, ...pictures));
    button.remove();
    speak(say("placesShown", { n: sheets.length }));
  } catch (error) {
    button.disabled = false;
    button.querySelector("span").textContent = failure(error).message;
  }
}

/** Return which picture or page an object stands on, as the service's query has it. */
const sheetOf = ({ image, page }) => (page ? `page=${page}` : `image=${image ?? 0}`);

async function picture(job, sheet, n) {
  const address = URL.createObjectURL(await fetchBlob(`/v1/jobs/${job.id}/overlay.svg?${sheet}`));
  const label = say("enlarge", { n: n + 1 });
  return make("button", { type: "button", "aria-label": label, onclick: () => enlarge(address) }, make("img", { src: address, alt: "" }));
}
