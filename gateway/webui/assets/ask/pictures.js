// The pictures of the next question: chosen, dropped, pasted or taken; uploaded at once.

import { pageAddress, upload, uploadDocument } from "../api.js";
import { find, icon, make, speak } from "../dom.js";
import { failure, say, warning } from "../words.js";
import { isDocument, objection } from "./fitting.js";
import { chosenModel } from "./model.js";

/** Pixels per inch of the small picture of a page. */
export const THUMB_DPI = 20;

/** More pictures than these are shown in a small grid. */
const FEW = 3;

export class Pictures {
  #kept = [];
  #changed;
  #refused;

  /** `changed` is called when a picture comes, goes or is ready; `refused` with a sentence. */
  constructor(changed, refused) {
    this.#changed = changed;
    this.#refused = refused;
  }

  /** The pictures that the service has taken. */
  get ready() {
    return this.#kept.filter((picture) => picture.stored);
  }

  get empty() {
    return this.#kept.length === 0;
  }

  /** Resolve once nothing is on its way any more. */
  async settled() {
    await Promise.all(this.#kept.map((picture) => picture.coming));
  }

  /** Take files, as many as fit, and say of the others why not. */
  add(files) {
    const sentences = new Set();
    for (const file of files) {
      const sentence = objection(file, this.#kept);
      if (sentence) sentences.add(sentence);
      else this.#take(file);
    }
    if (sentences.size) this.#refused([...sentences].join(" "));
  }

  #take(file) {
    const picture = { file, address: URL.createObjectURL(file), stop: new AbortController(), isDocument: isDocument(file) };
    picture.node = this.#chip(picture);
    picture.coming = this.#send(picture);
    this.#kept.push(picture);
    find("pictures").append(picture.node);
    this.#show();
  }

  /** Send once more what the service has not taken. */
  resend() {
    for (const picture of this.#kept.filter((kept) => !kept.stored)) {
      picture.node.classList.remove("bad");
      picture.facts.textContent = say("uploading");
      picture.coming = this.#send(picture);
    }
  }

  async #send(picture) {
    try {
      picture.stored = await this.#upload(picture);
      picture.facts.textContent = picture.isDocument ? say("pageCount", { n: picture.stored.page_count }) : factsOf(picture.stored);
      for (const told of picture.stored.warnings) picture.facts.append(make("br"), warning(told));
    } catch (error) {
      if (picture.stop.signal.aborted) return;
      const { message, hint } = failure(error);
      picture.node.classList.add("bad");
      picture.facts.textContent = `${message} ${hint}`;
      speak(picture.facts.textContent);
    }
    this.#changed();
  }

  async #upload(picture) {
    if (!picture.isDocument) return upload(picture.file, picture.stop.signal, chosenModel());
    try {
      const stored = await this.#unlocked(picture);
      picture.node.querySelector("img").src = await pageAddress(stored.id, 1, THUMB_DPI);
      return stored;
    } catch (error) {
      if (error.problem?.code !== "unsupported_image_format") throw error;
      // a TIFF of one page
      picture.isDocument = false;
      return upload(picture.file, picture.stop.signal, chosenModel());
    }
  }

  /** Upload a document, with the password that its owner types where it has one. */
  async #unlocked(picture) {
    for (let password; ; ) {
      try {
        return await uploadDocument(picture.file, picture.stop.signal, password);
      } catch (error) {
        const isLocked = ["document_encrypted", "document_password_wrong"].includes(error.problem?.code);
        password = isLocked ? await askPassword(picture, failure(error).message) : null;
        if (!password) throw error;
      }
    }
  }

  #chip(picture) {
    const name = picture.file.name || say("untitled");
    picture.facts = make("span", {}, say("uploading"));
    return make(
      "li",
      { title: name },
      make("img", { src: picture.address, alt: "" }),
      make("div", {}, make("b", {}, name), picture.facts),
      make(
        "button",
        { type: "button", class: "icon", "aria-label": say("remove", { name }), onclick: () => this.#remove(picture) },
        icon("close"),
      ),
    );
  }

  #remove(picture) {
    picture.stop.abort();
    picture.node.remove();
    URL.revokeObjectURL(picture.address);
    this.#kept = this.#kept.filter((other) => other !== picture);
    this.#show();
    find("question").focus();
  }

  #show() {
    find("pictures").hidden = this.empty;
    find("pictures").classList.toggle("many", this.#kept.length > FEW);
    this.#changed();
  }

  /** The uploaded pictures as a question has them: [{id, address, name, pages}]. */
  get asked() {
    return this.ready.map((picture) => ({
      id: picture.stored.id,
      address: picture.address,
      name: picture.file.name,
      pages: picture.isDocument ? picture.stored.page_count : undefined,
    }));
  }

  /** Hand the uploaded pictures over to a question. */
  handOver() {
    const gone = this.asked;
    for (const picture of this.#kept) picture.node.remove();
    this.#kept = [];
    this.#show();
    return gone;
  }

  /** Drop everything. */
  clear() {
    for (const picture of [...this.#kept]) this.#remove(picture);
  }
}

function factsOf(image) {
  return [say("pixels", { width: image.width, height: image.height }), say("tokens", { n: image.tokens })].join(" · ");
}

/** Return the password that is typed beside a document; resolves with null when it is removed. */
function askPassword(picture, sentence) {
  const field = make("input", { type: "password", autocomplete: "off", "aria-label": say("documentPassword") });
  const form = make("span", { class: "password" }, make("span", {}, sentence), field);
  picture.facts.replaceChildren(form);
  field.focus();
  return new Promise((done) => {
    picture.stop.signal.addEventListener("abort", () => done(null));
    // a form in a form is none: Enter is taken here
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      event.stopPropagation();
      picture.facts.textContent = say("uploading");
      done(field.value);
    });
  });
}
