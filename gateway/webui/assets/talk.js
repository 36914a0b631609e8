// The open conversation: its turns, the one that is being answered, and its place in the list.

import { askAnew } from "./answer/renewal.js";
import { others, remember, Variants } from "./answer/variants.js";
import { isFinal, pause, post } from "./api.js";
import { instruction } from "./asked.js";
import { find, speak } from "./dom.js";
import { landAtEnd, toEnd } from "./frame/landing.js";
import { newName } from "./names.js";
import { jobBody } from "./request.js";
import { optionsFor } from "./settings/options.js";
import { titleOf } from "./side/entry.js";
import { history } from "./side/history.js";
import { List } from "./side/list.js";
import { keepFirst } from "./side/thumbs.js";
import { Turn } from "./turn.js";
import { failure, say } from "./words.js";

export class Talk {
  #id = null;
  #turn = null;
  #opened = 0;
  #listed = new List(() => this.start(), entitle);
  /** The pictures or the document of the last question that had some; a follow-up needs no new ones. */
  pictures = [];
  /** Called when an answer begins or ends, or another conversation is opened. */
  changed = () => {};
  /** Called with a sentence that the asker should read. */
  refused = () => {};
  /** Called when another conversation is opened. */
  left = () => {};

  /** Has a picture been asked about? */
  get seen() {
    return this.pictures.length > 0;
  }

  /** Is an answer on its way? */
  get answering() {
    return this.#turn !== null;
  }

  /** The name of the conversation; null before its first question. */
  get id() {
    return this.#id;
  }

  /** Ask and follow the answer to its end; `asked` is what a Turn shows. */
  async put(asked) {
    this.#id ??= newName();
    const here = this.#id;
    if (location.hash !== `#${here}`) address(here);
    const shown = this.#show(asked);
    toEnd();
    speak(say("asked"));
    await this.#follow(shown, async () => {
      const job = await post("/v1/jobs", jobBody(asked, here), { headers: { "Idempotency-Key": newName() } });
      this.#look(asked.images);
      this.#refreshList();
      this.#keepFirst(here, asked.images);
      return job;
    });
  }

  /** Stop the answer that is being written. */
  cancel() {
    this.#turn?.cancel();
  }

  /** Show a conversation, or an empty one; what is being answered goes on without us. */
  async open(id) {
    const number = ++this.#opened;
    this.#clear(id);
    this.#refreshList();
    if (!id) return;
    // what is asked meanwhile stands alone: the past would come below it
    const isShown = () => number === this.#opened && !find("turns").childElementCount;
    const parts = await this.#partsOf(id, isShown);
    if (!isShown()) return;
    parts.forEach((part) => this.#restore(part));
    landAtEnd();
  }

  /** Return the parts of a conversation as soon as the service has them; none where it never will. */
  async #partsOf(id, isShown) {
    for (let failures = 0; isShown(); failures += 1) {
      try {
        const parts = await history(id);
        if (failures && isShown()) {
          this.#welcome(false);
          this.left();
        }
        return parts;
      } catch (error) {
        if (!isShown()) break;
        if (error.status === 404) this.#gone();
        else this.#missed(error);
        if (isFinal(error)) break;
        await pause(failures);
      }
    }
    return [];
  }

  #missed(error) {
    this.#welcome(true);
    this.refused(failure(error).message);
  }

  /** Begin a new conversation in the place of one that is stored no longer. */
  #gone() {
    address(null);
    this.#clear(null);
    this.refused(say("chatGone"));
  }

  /** Show the same conversation again, with another key. */
  reopen() {
    if (!this.answering) this.open(this.#id);
  }

  /** Begin an empty conversation. */
  start() {
    address(null);
    this.open(null);
    find("question").focus();
  }

  #clear(id) {
    this.#turn?.leave();
    this.#turn = null;
    this.#id = id;
    this.pictures = [];
    find("turns").replaceChildren();
    this.#welcome(!id);
    entitle(say("newChat"));
    this.left();
    this.changed();
  }

  #welcome(on) {
    document.body.classList.toggle("empty", on);
    find("welcome").hidden = !on;
  }

  #show(asked) {
    // an answer about no picture at all is told to be one
    asked.blind = !this.seen && !asked.images.length;
    const shown = new Turn(asked, (failed, tokens) => this.#again(failed, tokens));
    shown.askPage = (file, number, question) => this.#askPage(file, number, question);
    shown.renew = () => this.#renew(shown);
    this.#welcome(false);
    find("turns").append(shown.node);
    return shown;
  }

  #showInstruction(asked) {
    this.#welcome(false);
    find("turns").append(instruction(asked));
  }

  #again(failed, tokens) {
    if (this.answering) return;
    if (!tokens) failed.node.remove();
    this.put(tokens ? { ...failed.asked, tokens } : failed.asked);
  }

  /** Have a question answered once more, beside the answer that the conversation goes on with. */
  async #renew(first) {
    if (this.answering) return this.refused(say("waitForAnswer"));
    const shown = this.#variant(first);
    await this.#follow(shown, async () => {
      const job = await askAnew(first, this.#id);
      remember(first.job.id, job.id);
      return job;
    });
    first.variants.redraw();
  }

  #variant(first) {
    first.variants ??= new Variants(first);
    const shown = new Turn({ ...first.asked, options: optionsFor(first.asked.preset) }, null);
    shown.renew = () => this.#renew(first);
    first.variants.add(shown);
    return shown;
  }

  async #restoreVariants(first) {
    const jobs = await others(first.job.id);
    for (const job of jobs) {
      const shown = this.#variant(first);
      if (job.completed_at) shown.ended(job);
      else shown.live(job);
    }
    if (jobs.length) first.variants.show(0);
  }

  #askPage(file, number, question) {
    if (this.answering) return this.refused(say("waitForAnswer"));
    const page = { id: file.id, name: file.name, pages: file.page_count, only: number };
    this.put({ prompt: question, preset: null, images: [page], options: optionsFor(null) });
  }

  #restore({ asked, job, text, reason }) {
    if (asked.role === "system") return this.#showInstruction(asked);
    const shown = this.#show(asked);
    this.#look(asked.images);
    if (!job) shown.remembered(text, reason);
    else if (job.completed_at) shown.restored(job);
    else this.#follow(shown, () => job);
    if (job?.completed_at) this.#restoreVariants(shown);
    this.changed();
  }

  /** Show how an answer comes about, from the job that `begin` returns to its end. */
  async #follow(shown, begin) {
    this.#turn = shown;
    this.changed();
    try {
      await shown.live(await begin());
    } catch (error) {
      shown.trouble(error);
    }
    if (this.#turn === shown) {
      this.#turn = null;
      this.changed();
    }
    this.#refreshList();
  }

  #look(images) {
    if (images.length) this.pictures = images;
  }

  #keepFirst(id, images) {
    // the list does without a picture that cannot be drawn
    keepFirst(id, images).then(() => this.#refreshList(), () => {});
  }

  async #refreshList() {
    const here = this.#id;
    try {
      const current = await this.#listed.refresh(here);
      // while its first question is answered it has no name yet
      if (current && here === this.#id && (current.title || !current.busy)) entitle(titleOf(current));
    } catch {
      // the health line tells it already
    }
  }
}

function address(id) {
  window.history.replaceState(null, "", id ? `#${id}` : location.pathname);
}

function entitle(title) {
  find("heading").textContent = title;
  document.title = title === say("newChat") ? say("title") : `${title} · Sightline`;
}
