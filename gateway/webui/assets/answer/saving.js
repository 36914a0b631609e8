// Saving an answer as a file: text, web page, table or Word document.

import { fetchBlob } from "../api.js";
import { find, icon, make } from "../dom.js";
import { failure, say } from "../words.js";

const FORMS = { text: "txt", markdown: "md", html: "html", csv: "csv", xlsx: "xlsx", docx: "docx", json: "json" };
/** Of answers whose lines have places. */
const PLACED_FORMS = { pdf: "pdf", hocr: "hocr" };
/** Between an open list and the edge of the conversation. */
const GAP_PX = 12;
/** A browser has begun to save by then. */
const KEPT_MS = 60_000;

/** Return a list of forms that opens; the chosen one is saved. */
export function saver(job) {
  const summary = make("summary", {}, icon("down"), make("span", {}, say("saveAs")));
  const node = make("details", { class: "saver" }, summary);
  const choices = filesOf(job).map(([form, fileOf]) => {
    const button = make("button", { type: "button" }, say(`form_${form}`));
    button.addEventListener("click", () => {
      node.open = false;
      save(fileOf(node), summary.querySelector("span"));
    });
    return make("li", {}, button);
  });
  const list = make("ul", {}, ...choices);
  node.append(list);
  node.addEventListener("toggle", () => node.open && fit(node, list));
  return node;
}

/** Lay an open list where the conversation has more room: above or below, and no taller than that. */
function fit(node, list) {
  const room = find("scroll").getBoundingClientRect();
  const button = node.getBoundingClientRect();
  const [above, below] = [button.top - room.top, room.bottom - button.bottom];
  list.classList.toggle("below", below > above);
  list.style.maxHeight = `${Math.max(above, below) - GAP_PX}px`;
}

/** Return the files that an answer can be saved as: [form, what returns {path, name}]. */
function filesOf(job) {
  const { lines, objects } = job.output;
  const hasBoxes = lines?.some(({ box }) => box);
  const forms = Object.entries({ ...FORMS, ...(hasBoxes ? PLACED_FORMS : {}) });
  const files = forms.map(([form, ending]) => [form, () => ({ path: `result?format=${form}&corrected=true`, name: `${stem(job)}.${ending}`, job })]);
  return hasBoxes || objects?.length ? [...files, ["svg", (node) => overlay(job, node)]] : files;
}

/** Return the picture with its boxes: of several, the one that is shown beside the text. */
function overlay(job, node) {
  const [kind, number] = (node.closest(".turn").querySelector(".stage")?.dataset.sheet ?? "").split("-");
  const isOne = !kind || (kind === "image" && job.input.images.length === 1);
  return { path: `overlay.svg${isOne ? "" : `?${kind}=${number}`}`, name: `${stem(job)}${isOne ? "" : `-${kind}-${number}`}.svg`, job };
}

/** Let the browser save bytes under a name. */
export function saveBlob(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}

/** Save a form of an answer as people have corrected it. */
async function save({ job, path, name }, label) {
  try {
    saveBlob(await fetchBlob(`/v1/jobs/${job.id}/${path}`), name);
  } catch (error) {
    label.textContent = failure(error).message;
    setTimeout(() => (label.textContent = say("saveAs")), 4000);
  }
}

function stem(job) {
  const name = job.input.document?.name ?? job.input.images[0]?.name ?? job.metadata?.files?.[0] ?? job.id;
  return name.replace(/\.[^.]*$/, "") || job.id;
}
