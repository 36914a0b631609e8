// Saving a whole conversation as a file.

import { saveBlob } from "../answer/saving.js";
import { find, make, speak } from "../dom.js";
import { failure, say } from "../words.js";
import { FORMS, withCorrections } from "./exports.js";
import { history } from "./history.js";

/** Offer the forms; `current` returns the name of the open conversation. */
export function wireExport(current) {
  const buttons = Object.keys(FORMS).map((form) => {
    const button = make("button", { type: "button" }, say(`form_${form}`));
    button.addEventListener("click", () => {
      find("export").open = false;
      save(current(), form);
    });
    return make("li", {}, button);
  });
  find("export-forms").replaceChildren(...buttons);
}

async function save(id, form) {
  const title = find("heading").textContent;
  try {
    const { ending, kind, write } = FORMS[form];
    const text = write({ id, title, parts: await withCorrections(await history(id)) });
    saveBlob(new Blob([text], { type: kind }), `${fileName(title)}.${ending}`);
    speak(say("exported"));
  } catch (error) {
    const { message, hint } = failure(error);
    find("note").textContent = `${message} ${hint}`;
    speak(message);
  }
}

/** Return a title as the name of a file, on every system. */
const fileName = (title) => title.replace(/[\p{Cc}\\/:*?"<>|]+/gu, " ").trim().slice(0, 80) || "conversation";
