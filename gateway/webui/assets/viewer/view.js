// Whether an answer has its picture beside it, and which.

import { told } from "../words.js";
import { LinkedAnswer } from "./linked.js";
import { Pane } from "./picture/pane.js";
import { sheetsOf } from "./picture/sheets.js";
import { hasValues } from "./text/fields.js";

/** Letters from which an answer is long enough to be read beside its picture. */
const LONG = 600;

export class View {
  #words;
  #pane = null;
  #linked = null;

  /** `words` is the node that the answer's text is in. */
  constructor(words) {
    this.#words = words;
  }

  /** Show the picture of a job that is still being read. */
  expect(job) {
    if (reads(job)) this.#open(job.input);
  }

  /** Show a job's answer, which is in the text already, beside what it is about. */
  show(job) {
    this.#linked?.close();
    this.#linked = null;
    const text = job.output?.text ?? "";
    const isWanted = text && (reads(job) || text.length > LONG);
    if (!isWanted) this.#close();
    else if (this.#open(job.input)) this.#linked = new LinkedAnswer(job, this.#words, this.#pane);
  }

  /** Show the pictures of an answer of which only the words are known any more. */
  remember(images, text) {
    if (text.length > LONG) this.#open({ images: images.filter((image) => !image.pages) });
  }

  /** Return the text of the answer as it was corrected. */
  text(original) {
    return this.#linked?.text(original) ?? original;
  }

  #open(input) {
    const sheets = this.#pane ? [] : sheetsOf(input);
    if (sheets.length) {
      this.#pane = new Pane(sheets);
      this.#words.parentElement.append(this.#pane.node);
      this.#turn.classList.add("beside");
    }
    return this.#pane !== null;
  }

  #close() {
    this.#pane?.node.remove();
    this.#pane = null;
    this.#turn.classList.remove("beside");
  }

  get #turn() {
    return this.#words.closest(".turn");
  }
}

/** Is a job about text, or about values, that stand on its pictures? */
function reads({ input, output }) {
  return told.reading.includes(input.preset) || Boolean(output && (output.lines || output.objects || hasValues(output)));
}
