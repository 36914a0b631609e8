// Saving an answer as a file: text, web page, table or Word document.

import { fetchBlob } from "../api.js";
import { icon, make } from "../dom.js";
import { failure, say } from "../words.js";

const FORMS = { text: "txt", markdown: "md", html: "html", csv: "csv", xlsx: "xlsx", docx: "docx", json: "json" };
/** A browser has begun to save by then. */
const KEPT_MS = 60_000;

/** Return a list of forms that opens; the chosen one is saved. */
export function saver(job) {
  const summary = make("summary", {}, icon("down"), make("span", {}, say("saveAs")));
  const node = make("details", { class: "saver" }, summary);
  const choices = Object.keys(FORMS).map((form) => {
    const button = make("button", { type: "button" }, say(`form_${form}`));
    button.addEventListener("click", () => {
      node.open = false;
      save(job, form, summary.querySelector("span"));
    });
    return make("li", {}, button);
  });
  node.append(make("ul", {}, ...choices));
  return node;
}

/** Let the browser save bytes under a name. */
export function saveBlob(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}

/** Save a form of an answer as people have corrected it. */
async function save(job, form, label) {
  try {
    saveBlob(await fetchBlob(`/v1/jobs/${job.id}/result?format=${form}&corrected=true`), `${stem(job)}.${FORMS[form]}`);
  } catch (error) {
    label.textContent = failure(error).message;
    setTimeout(() => (label.textContent = say("saveAs")), 4000);
  }
}

function stem(job) {
  const name = job.input.document?.name ?? job.input.images[0]?.name ?? job.metadata?.files?.[0] ?? job.id;
  return name.replace(/\.[^.]*$/, "") || job.id;
}
