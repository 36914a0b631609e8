// The pictures of the next question: chosen, dropped, pasted or taken; uploaded at once.

import { upload } from "./api.js";
import { find, icon, make, speak } from "./dom.js";
import { duration, failure, say, told, warning } from "./words.js";

const MAX_MB = Math.floor(told.max_bytes / 2 ** 20);

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

  /** Take files, as many as fit. */
  add(files) {
    for (const file of files) {
      const sentence = this.#objection(file);
      if (sentence) this.#refused(sentence);
      else this.#take(file);
    }
  }

  #objection(file) {
    const name = file.name || say("untitled");
    if (this.#kept.length >= told.max_images) return say("tooMany", { n: told.max_images });
    if (file.size > told.max_bytes) return say("tooLarge", { name, size: MAX_MB });
    if (file.type && !file.type.startsWith("image/")) return say("notImage", { name });
    return null;
  }

  #take(file) {
    const picture = { file, address: URL.createObjectURL(file), stop: new AbortController() };
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
      picture.stored = await upload(picture.file, picture.stop.signal);
      picture.facts.textContent = factsOf(picture.stored);
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

  #chip(picture) {
    const name = picture.file.name || say("untitled");
    picture.facts = make("span", {}, say("uploading"));
    return make(
      "li",
      {},
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
    this.#changed();
  }

  /** Hand the uploaded pictures over to a question: [{id, address}]. */
  handOver() {
    const gone = this.ready.map((picture) => ({ id: picture.stored.id, address: picture.address, name: picture.file.name }));
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
  const told = [
    say("pixels", { width: image.width, height: image.height }),
    say("tokens", { n: image.tokens }),
  ];
  if (image.predicted_s) told.push(say("about", { time: duration(image.predicted_s) }));
  return told.join(" · ");
}
