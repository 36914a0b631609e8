// Where questions are written: the words, the pictures beside them, and what it would cost.

import { find, speak } from "../dom.js";
import { openDrawer } from "../settings/drawer.js";
import { needs, objectionTo, optionsFor, takesWords } from "../settings/options.js";
import { enablePresets, offerPresets } from "../settings/presets.js";
import { onChange } from "../settings/store.js";
import { say, told } from "../words.js";
import { costs, estimate } from "./estimate.js";
import { Pictures } from "./pictures.js";
import { chosenReader } from "./reader.js";

const ESTIMATE_AFTER_MS = 250;
/** The queue moves meanwhile. */
const ESTIMATE_EVERY_MS = 5000;

export class Composer {
  #field = find("question");
  #talk;
  #pictures;
  #asking = 0;
  /** Does the note say why something was refused? An estimate does not take its place by itself. */
  #isRefusal = false;

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
    if (talk.answering || this.#objects(preset, words)) return;
    this.#busy(true);
    await this.#pictures.settled();
    if (preset && !talk.seen && !this.#pictures.ready.length) return this.#busy(false);
    const given = this.#pictures.handOver();
    // what is looked for is looked for on pictures of the question itself
    const images = !given.length && needs(preset, "labels") ? talk.pictures : given;
    const isTyped = !preset || takesWords(preset);
    const asked = {
      prompt: isTyped ? words : "",
      words: isTyped ? words : "",
      preset,
      images,
      reader: chosenReader(preset, images),
      options: optionsFor(preset),
    };
    if (isTyped) this.#write("");
    this.#note("");
    await talk.put(asked);
  }

  /** Say why this cannot be asked, if it cannot. */
  #objects(preset, words) {
    const objection = objectionTo(preset);
    const lacking = this.#lacking(preset, words) ?? objection?.sentence;
    if (!lacking) return false;
    this.#refuse(lacking);
    if (lacking === objection?.sentence) openDrawer(objection.field);
    else this.#field.focus();
    return true;
  }

  #lacking(preset, words) {
    if (!preset && !words) return say("needsQuestion");
    if (preset && !this.#usable) return say("needsImage");
    if (takesWords(preset) && !words) return say(needs(preset, "labels") ? "needsLabels" : "needsWords");
    return words.length > told.max_prompt_chars ? say("tooLong", { n: told.max_prompt_chars }) : null;
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
    this.#isRefusal = true;
    speak(sentence);
  }

  #note(sentence, bad = false) {
    const node = find("note");
    this.#isRefusal = false;
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
    enablePresets(!on);
  }

  #picturesChanged() {
    if (!this.#isRefusal) this.#note("");
    this.#busy(this.#talk.answering);
    this.#estimate();
  }

  #estimate() {
    clearTimeout(this.#asking);
    if (this.#estimable) this.#asking = setTimeout(() => this.#tellEstimate(), ESTIMATE_AFTER_MS);
  }

  get #estimable() {
    return !this.#talk.answering && this.#pictures.ready.length > 0;
  }

  async #tellEstimate() {
    const prompt = this.#field.value.trim() || "?";
    const found = await estimate({ prompt, images: this.#pictures.asked, options: optionsFor(null) });
    if (!found || !this.#estimable || this.#isRefusal) return;
    const { sentence, bad } = costs(found, this.#pictures.asked.length);
    this.#note(sentence, bad);
  }

  #wire() {
    find("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
    this.#field.addEventListener("input", () => {
      this.#fit();
      if (!this.#isRefusal) return;
      this.#note("");
      this.#estimate();
    });
    this.#field.addEventListener("keydown", (event) => {
      // Enter that chooses a Chinese word does not send
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.ask();
    });
    find("stop").addEventListener("click", () => this.#talk.cancel());
    find("new").addEventListener("click", () => this.startOver());
    offerPresets((name) => this.ask(name));
    onChange(() => this.#estimate());
    setInterval(() => !document.hidden && !this.#isRefusal && this.#estimate(), ESTIMATE_EVERY_MS);
    this.#tellReady();
  }
}
