// One question and its answer on the page, from waiting to the last word.

import { Actions } from "./answer/actions.js";
import { notices } from "./answer/notices.js";
import { Thinking } from "./answer/thinking.js";
import { waiting } from "./answer/waiting.js";
import { follow, get, post } from "./api.js";
import { question } from "./asked.js";
import { icon, make, speak } from "./dom.js";
import { stayAtEnd } from "./frame/landing.js";
import { plain, render } from "./markdown.js";
import { Pages } from "./pages.js";
import { bar } from "./progress.js";
import { verbatim } from "./verbatim.js";
import { View } from "./viewer/view.js";
import { duration, failure, say, told } from "./words.js";

const PLACE_EVERY_MS = 3000;

export class Turn {
  #text = "";
  #stop = new AbortController();
  #drawn = 0;
  #anew = false;
  #strip = null;
  #thinking = new Thinking();
  #view;

  /** `asked`: {prompt, preset, images: [{id, address?}]}; `again` asks it once more. */
  constructor(asked, again) {
    this.asked = asked;
    this.again = again;
    this.words = make("div", { class: "words" });
    this.#view = new View(this.words);
    this.pages = make("div", {});
    this.going = make("div", { class: "going" });
    this.after = make("div", {});
    this.actions = new Actions(this);
    this.node = make(
      "li",
      { class: "turn" },
      question(asked),
      make(
        "article",
        { class: "answer", "aria-label": say("answer") },
        icon("eye", "mark"),
        this.pages,
        this.#thinking.node,
        this.words,
        this.going,
        this.after,
        this.actions.node,
      ),
    );
  }

  /** The words of the answer, as far as they are written. */
  get text() {
    return this.#text;
  }

  /** The words of the answer as people have corrected them. */
  get corrected() {
    return this.#view.text(this.#text);
  }

  /** Follow a job from its first event to its end; return the ended job, or null. */
  async live(job) {
    this.job = job;
    this.#showPages(job);
    this.#view.expect(job);
    this.node.setAttribute("aria-busy", "true");
    this.#place({ ...job.queue, eta_s: job.eta_s });
    const timer = setInterval(() => this.#lookUp(), PLACE_EVERY_MS);
    try {
      for await (const event of follow(job.id, this.#stop.signal)) this.#take(event);
    } catch (error) {
      if (!this.#stop.signal.aborted) this.trouble(error);
    } finally {
      clearInterval(timer);
      this.node.removeAttribute("aria-busy");
    }
    return this.job;
  }

  /** Stop listening; the job goes on. */
  leave() {
    this.#stop.abort();
  }

  /** Stop the job. */
  async cancel() {
    if (this.job) await post(`/v1/jobs/${this.job.id}/cancel`).catch(() => {});
  }

  async #lookUp() {
    if (this.job.status !== "queued") return;
    const job = await get(`/v1/jobs/${this.job.id}`).catch(() => null);
    if (job?.status === "queued" && this.job.status === "queued") this.#place({ ...job.queue, eta_s: job.eta_s });
  }

  #take({ type, data }) {
    if (type === "job.queued") this.#queued(data);
    else if (type === "job.started") this.#started();
    else if (type === "job.progress") this.#progress(data);
    else if (type === "output.page") this.#strip?.take(data);
    else if (type === "output.reasoning") this.#thinking.add(data.text);
    else if (type === "output.delta") this.#write(data.text);
    else if (type === "output.reset") this.#reset();
    else if (type === "line.broken") this.#going(say("reconnecting"));
    else if (type === "job.erased") this.#erased();
    else if (data.id) this.ended(data);
  }

  /** Show the pages of the job's document, if it has one, and what is known of them. */
  #showPages(job) {
    const named = job.input?.document;
    if (named && !this.#strip) {
      const file = { ...named, name: named.name ?? job.metadata?.files?.[0] };
      this.#strip = new Pages(file, (number, question) => this.askPage?.(file, number, question));
      this.pages.append(this.#strip.node);
    }
    for (const page of job.output?.pages ?? []) this.#strip?.take(page);
  }

  #queued(data) {
    this.job.status = "queued";
    this.#place(data);
  }

  #started() {
    this.job.status = "running";
    this.#going(say("starting"));
  }

  #place({ position, eta_s: eta }) {
    if (this.job.status !== "queued") return;
    const head = position ? say("queued", { n: position }) : say("queuedNext");
    this.#going(head, waiting(eta));
  }

  #progress(progress) {
    this.job.status = "running";
    const { stage, percent, eta_s: eta, tiles_total: tiles, tiles_done: done, pages_total: pages } = progress;
    const page = pages ? say("pagesDone", { done: progress.pages_done, total: pages }) : null;
    const tile = tiles ? say("tiles", { done: Math.min(tiles, done + 1), total: tiles }) : null;
    const left = eta ? say("left", { time: duration(eta) }) : null;
    this.#going(say(`stage_${stage}`), page ?? tile, `${percent} %`, left, bar(progress));
  }

  #going(head, ...rest) {
    const anew = this.#anew ? say("begunAnew") : null;
    const parts = [anew, ...rest].filter(Boolean).map((part) => (typeof part === "string" ? make("span", {}, part) : part));
    this.going.replaceChildren(make("strong", {}, head), ...parts);
  }

  #reset() {
    this.#anew = true;
    this.#text = "";
    this.#thinking.show("");
    this.#draw();
  }

  #write(text) {
    this.#text += text;
    // many pieces may come within one frame of the screen
    this.#drawn ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#drawn = 0;
    stayAtEnd(() => {
      this.words.replaceChildren(...this.#nodes());
      this.words.classList.toggle("writing", Boolean(this.#text) && this.node.hasAttribute("aria-busy"));
    });
  }

  /** Return what the answer looks like: read text word for word, the model's own as Markdown. */
  #nodes() {
    const images = this.job?.output?.images;
    if (images) return images.flatMap((one) => [this.#imageHead(one), ...verbatim(one.text)]);
    if (!this.#reads) return render(this.#text);
    // a page's own text has no marks for tables
    const pages = this.job?.output?.pages;
    return verbatim(this.#text, { tables: !pages || pages.some((page) => page.source === "model") });
  }

  get #reads() {
    return told.reading.includes(this.asked.preset ?? this.job?.input?.preset);
  }

  #imageHead({ image }) {
    const number = say("imageNumber", { n: image + 1 });
    const name = this.job.input.images[image]?.name ?? this.job.metadata?.files?.[image];
    return make("h2", {}, name ? `${number}: ${name}` : number);
  }

  #erased() {
    this.going.replaceChildren();
    this.trouble({ code: "erased", detail: "" });
  }

  /** Show how a job ended. */
  ended(job) {
    stayAtEnd(() => this.#showEnd(job));
  }

  #showEnd(job) {
    this.job = job;
    this.#showPages(job);
    this.#text = job.output?.text ?? this.#text;
    if (job.output) this.#thinking.show(job.output.reasoning);
    this.node.removeAttribute("aria-busy");
    cancelAnimationFrame(this.#drawn);
    this.#draw();
    this.#view.show(job);
    this.going.replaceChildren();
    this.after.replaceChildren();
    this.#tellEnd(job);
    this.after.append(...notices(job.warnings, job.input?.images));
    this.actions.offer(job);
  }

  /** Show an ended job as a list has it, and all of it where that is only its beginning. */
  async restored(job) {
    this.ended(job);
    if (!job.output?.shortened) return;
    const whole = await get(`/v1/jobs/${job.id}`).catch(() => null);
    if (whole) this.ended(whole);
  }

  /** Show an answer of which only the words are known any more. */
  remembered(text, reason) {
    this.node.querySelector(".answer").hidden = this.asked.part === "question";
    this.#text = text;
    this.#draw();
    this.#view.remember(this.asked.images, text);
    this.#tellReason(reason);
    this.actions.offer(null);
  }

  #tellEnd(job) {
    if (job.status === "failed") this.trouble(job.error);
    else if (job.status === "canceled") this.#notice(say(this.#text ? "canceledPartly" : "canceled"));
    else if (job.status === "expired") this.#notice(say("expired"));
    else this.#tellReason(job.output?.finish_reason);
    if (job.status !== "succeeded") return;
    speak(`${say("answered")} ${this.#reads ? this.#text : plain(this.#text)}`);
    if (this.asked.blind) this.#notice(say("noPicture"));
  }

  #tellReason(reason) {
    if (reason === "length" || reason === "loop") this.#notice(say(`finish_${reason}`));
  }

  #notice(sentence) {
    this.after.append(make("p", { class: "notice" }, sentence));
    speak(sentence);
  }

  /** Show why there is no answer. */
  trouble(error) {
    const { message, hint } = failure(error);
    stayAtEnd(() => {
      this.going.replaceChildren();
      this.after.append(make("p", { class: "trouble", role: "alert" }, make("b", {}, message), hint));
      if (this.actions.empty) this.actions.offer(this.job ?? null, true);
    });
  }
}
