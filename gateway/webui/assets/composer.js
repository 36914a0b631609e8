// Where questions are written: the words, the pictures beside them, and what it would cost.

import { find, make, speak } from "./dom.js";
import { costs, estimate } from "./estimate.js";
import { Pictures } from "./pictures.js";
import { chosenReader } from "./reader.js";
import { presetIcon } from "./asked.js";
import { presetName, say, told } from "./words.js";

const ESTIMATE_AFTER_MS = 250;

export class Composer {
  #field = find("question");
  #talk;
  #pictures;
  #asking = 0;

  constructor(talk) {
    this.#talk = talk;
    this.#pictures = new Pictures(() => this.#picturesChanged(), (sentence) => this.#refuse(sentence));
    talk.changed = () => this.#changed();
    talk.refused = (sentence) => this.#refuse(sentence);
    talk.left = () => this.#note("");
    this.#wire();
  }

  /** Take picture files beside the question. */
  take(files) {
    this.#note("");
    this.#pictures.add(files);
    this.#field.focus();
  }

  /** Send pictures once more that were refused. */
  resend() {
    this.#pictures.resend();
  }

  /** Begin an empty conversation, without the pictures of the last one. */
  startOver() {
    this.#pictures.clear();
    this.#talk.start();
  }

  /** Ask what is written, or a ready-made question. */
  async ask(preset = null) {
    const words = this.#field.value.trim();
    const talk = this.#talk;
    if (talk.answering) return;
    if (!preset && !words) return this.#refuse(say("needsQuestion"));
    if (preset && !this.#usable) return this.#refuse(say("needsImage"));
    this.#busy(true);
    await this.#pictures.settled();
    if (preset && !talk.seen && !this.#pictures.ready.length) return this.#busy(false);
    const images = this.#pictures.handOver();
    const asked = { prompt: preset ? "" : words, preset, images, reader: chosenReader(preset, images) };
    if (!preset) this.#write("");
    await talk.put(asked);
  }

  get #usable() {
    return this.#talk.seen || !this.#pictures.empty;
  }

  #write(words) {
    this.#field.value = words;
    this.#fit();
  }

  #fit() {
    this.#field.style.height = "auto";
    this.#field.style.height = `${this.#field.scrollHeight}px`;
    this.#tellReady();
  }

  #tellReady() {
    find("send").classList.toggle("idle", !this.#field.value.trim());
  }

  #refuse(sentence) {
    this.#note(sentence, true);
    speak(sentence);
  }

  #note(sentence, bad = false) {
    const node = find("note");
    node.textContent = sentence;
    node.classList.toggle("trouble", bad);
  }

  #changed() {
    this.#field.placeholder = say(document.body.classList.contains("empty") ? "placeholder" : "placeholderFollow");
    this.#busy(this.#talk.answering);
    this.#estimate();
  }

  #busy(on) {
    find("send").hidden = on;
    find("stop").hidden = !on;
    find("ready-made").hidden = !this.#usable;
    find("examples").hidden = on || this.#usable || !document.body.classList.contains("empty");
    for (const button of find("presets").children) button.disabled = on;
  }

  #picturesChanged() {
    this.#note("");
    this.#busy(this.#talk.answering);
    this.#estimate();
  }

  #estimate() {
    clearTimeout(this.#asking);
    if (this.#talk.answering || !this.#pictures.ready.length) return;
    this.#asking = setTimeout(async () => {
      const images = this.#pictures.ready.map((picture) => picture.stored.id);
      const found = await estimate(this.#field.value.trim(), images);
      if (found && !this.#talk.answering && this.#pictures.ready.length) this.#note(costs(found));
    }, ESTIMATE_AFTER_MS);
  }

  #wire() {
    find("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
    this.#field.addEventListener("input", () => this.#fit());
    this.#field.addEventListener("keydown", (event) => {
      // Enter that chooses a Chinese word does not send
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.ask();
    });
    find("stop").addEventListener("click", () => this.#talk.cancel());
    find("new").addEventListener("click", () => this.startOver());
    for (const { name } of told.presets) {
      const button = make("button", { type: "button" }, presetIcon(name), presetName(name));
      button.addEventListener("click", () => this.ask(name));
      find("presets").append(button);
    }
    this.#tellReady();
  }
}
