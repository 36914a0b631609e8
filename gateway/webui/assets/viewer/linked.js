// The spots of one answer in its text and on its picture: chosen, walked through, and corrected.

import { failure, say } from "../words.js";
import { Guide } from "./guide.js";
import { Review } from "./review.js";
import { spotsOfLines, spotsOfObjects, spotsOfValues } from "./spots.js";
import { Strip } from "./strip.js";
import { correctedText } from "./text/corrected.js";
import { edit } from "./text/editing.js";
import { fieldsNode, hasValues, valuesOf } from "./text/fields.js";
import { objectsNode } from "./text/objects.js";
import { markLines } from "./text/marks.js";
import { correctionOf, paint } from "./text/painting.js";
import { keepValue, kindOf } from "./text/values.js";
import { wire } from "./wiring.js";

export class LinkedAnswer {
  #output;
  #words;
  #pane;
  #guide;
  #strip;
  #review;
  #spots = new Map();
  /** Those that stand in the text, in its order. */
  #marked = [];
  #chosen = null;
  #end = new AbortController();

  /** `words` is the node with the text of the job's answer, `pane` shows what it is about. */
  constructor(job, words, pane) {
    this.#output = job.output;
    this.#words = words;
    this.#pane = pane;
    this.#review = new Review(job);
    const canFix = this.#review.isKept;
    this.#strip = new Strip({ fix: () => this.fix(), confirm: () => this.#confirm(), back: () => this.#goBack() }, canFix);
    this.#guide = new Guide({ step: (by) => this.step(by), jump: () => this.#goToPicture() }, canFix);
    pane.frame.append(this.#strip.node);
    words.before(this.#guide.node);
    this.#lay();
    wire(this, { answer: words.parentElement, words, stage: pane.stage, signal: this.#end.signal });
  }

  /** Let go of text and picture. */
  close() {
    this.#end.abort();
    this.#guide.node.remove();
    this.#strip.node.remove();
  }

  /** Return the text of the answer as it was corrected. */
  text(original) {
    if (!this.#review.hasCorrections) return original;
    return correctedText(this.#output, [...this.#spots.values()], this.#review.correction);
  }

  #lay() {
    if (hasValues(this.#output)) this.#layValues(this.#output);
    else if (this.#output.objects?.length) this.#layObjects(this.#output.objects);
    else if (this.#output.lines) this.#layLines(this.#output.lines);
    if (this.#marked[0]) this.#marked[0].node.tabIndex = 0;
    this.#pane.know([...this.#spots.values()], (spot) => this.#kind(spot));
    this.#guide.tell(this.#doubtful.length);
  }

  #know(spots) {
    this.#spots = new Map(spots.map((spot) => [spot.id, spot]));
    return spots;
  }

  #layLines(lines) {
    markLines(this.#words, lines, this.#know(spotsOfLines(lines)), (node, spot) => this.#mark(node, spot, node.textContent));
  }

  #layValues({ json, evidence }) {
    const values = valuesOf(json);
    const spots = this.#know(spotsOfValues(values, evidence));
    const raw = [...this.#words.childNodes];
    this.#words.replaceChildren(...fieldsNode(values, spots, raw, (node, spot) => this.#mark(node, spot, spot.text)));
  }

  #layObjects(objects) {
    const spots = this.#know(spotsOfObjects(objects));
    this.#words.append(objectsNode(spots, (node, spot) => this.#mark(node, spot, spot.text)));
  }

  #mark(node, spot, shown) {
    spot.node = node;
    spot.shown = shown;
    node.dataset.spot = spot.id;
    node.tabIndex = -1;
    node.setAttribute("aria-describedby", this.#strip.id);
    this.#marked.push(spot);
    this.#paint(spot);
  }

  #paint(spot) {
    paint(spot.node, spot, { correction: this.#review.correction(spot), isDoubtful: this.#isDoubtful(spot) });
  }

  #isDoubtful(spot) {
    return Boolean(spot.doubt || this.#review.isListed(spot)) && !this.#review.isSettled(spot);
  }

  get #doubtful() {
    return this.#marked.filter((spot) => this.#isDoubtful(spot));
  }

  get #hasPlaces() {
    return [...this.#spots.values()].some((spot) => spot.corners);
  }

  #kind(spot) {
    if (this.#review.correction(spot)) return "fixed";
    return this.#isDoubtful(spot) ? "doubt" : null;
  }

  /** Return the spot of this id, or null. */
  find(id) {
    return this.#spots.get(id) ?? null;
  }

  /** Light up a spot in text and picture; null puts the light out. */
  light(spot) {
    for (const node of this.#words.querySelectorAll(".lit")) node.classList.remove("lit");
    spot?.node?.classList.add("lit");
    this.#pane.light(spot);
  }

  /** Bring the place of a spot into view. */
  bring(spot) {
    this.#pane.bring(spot).then(() => this.#pane.light(spot));
  }

  /** Choose a spot, or none. */
  choose(spot) {
    if (spot === this.#chosen) return;
    if (this.#chosen?.node) {
      this.#chosen.node.classList.remove("picked");
      this.#chosen.node.tabIndex = -1;
    }
    this.#chosen = spot;
    spot?.node?.classList.add("picked");
    const first = (spot?.node ? spot : this.#marked[0])?.node;
    if (first) first.tabIndex = 0;
    this.#strip.show(spot, spot ? this.#sentences(spot) : []);
    this.#pane.choose(spot);
  }

  #sentences(spot) {
    const correction = this.#review.correction(spot);
    if (correction) return [correctionOf(spot, correction)];
    const doubt = this.#isDoubtful(spot) ? (spot.doubt?.sentences ?? [say("doubtReview")]) : [];
    return spot.corners || !this.#hasPlaces ? doubt : [...doubt, say("noPlace")];
  }

  /** Choose a spot in the text and go there. */
  go(spot) {
    if (!spot?.node) return;
    spot.node.focus({ preventScroll: true });
    spot.node.scrollIntoView({ block: "nearest" });
    this.choose(spot);
  }

  /** Choose the next doubtful spot, or the one before. */
  step(by) {
    const all = this.#marked;
    const at = this.#chosen?.node ? all.indexOf(this.#chosen) : by > 0 ? -1 : 0;
    const order = all.map((_, n) => all[(((at + by * (n + 1)) % all.length) + all.length) % all.length]);
    this.go(order.find((spot) => this.#isDoubtful(spot)));
  }

  /** Choose the spot that is so many further in the text. */
  walk(by) {
    this.go(this.#marked[this.#marked.indexOf(this.#chosen) + by]);
  }

  /** Correct the spot that is chosen. */
  fix() {
    const spot = this.#chosen;
    if (!spot?.node || !spot.says || !this.#review.isKept) return;
    spot.node.scrollIntoView({ block: "nearest" });
    const now = this.#review.correction(spot);
    edit(spot.node, now ? String(now.value ?? "") : spot.shown, {
      keep: (text) => this.#keep(spot, text),
      advice: "value" in spot ? kindOf(spot.value) : "",
    });
  }

  async #keep(spot, text) {
    if ("value" in spot) await keepValue(spot.value, text, (value) => this.#review.correct(spot, value));
    else await this.#review.correct(spot, text);
    this.#changed(spot);
    spot.node.focus({ preventScroll: true });
  }

  async #confirm() {
    const spot = this.#chosen;
    try {
      await this.#review.confirm(spot);
      this.#changed(spot);
    } catch (error) {
      this.#strip.complain(failure(error).message);
    }
  }

  #changed(spot) {
    this.#paint(spot);
    this.#pane.note(spot);
    this.#guide.tell(this.#doubtful.length);
    this.#strip.show(spot, this.#sentences(spot));
  }

  /** Is the picture below the text? */
  get isNarrow() {
    return getComputedStyle(this.#guide.node.querySelector(".jump")).display !== "none";
  }

  #goToPicture() {
    this.#pane.stage.node.focus({ preventScroll: true });
    this.#scrollDown();
  }

  /** Scroll to a spot's place, and to what can be done with it, where that is below the text. */
  follow(spot) {
    if (this.isNarrow && (spot.corners || this.#review.isKept)) this.#scrollDown();
  }

  #scrollDown() {
    this.#pane.node.scrollIntoView({ block: "start" });
  }

  #goBack() {
    const node = this.#chosen?.node ?? this.#words;
    node.scrollIntoView({ block: "center" });
    this.#chosen?.node?.focus({ preventScroll: true });
  }
}
