// The open conversation: its turns, the one that is being answered, and its place in the list.

import { post } from "./api.js";
import { find, speak } from "./dom.js";
import { history, list, newSession, titleOf } from "./sessions.js";
import { Turn } from "./turn.js";
import { placesWanted } from "./viewer/asking.js";
import { failure, presetName, say, told } from "./words.js";

/** Tokens of an answer to a question in one's own words. */
export const MAX_TOKENS = 512;
/** Characters of a question that are kept beside its job, for when it leaves no turn. */
const KEPT_CHARS = 800;
/** Characters of a file's name that are kept as well. */
const NAME_CHARS = 60;

export class Talk {
  #id = null;
  #turn = null;
  #opened = 0;
  /** Has a picture been asked about? Then a question needs no new one. */
  seen = false;
  /** Called when an answer begins or ends, or another conversation is opened. */
  changed = () => {};
  /** Called with a sentence that the asker should read. */
  refused = () => {};
  /** Called when another conversation is opened. */
  left = () => {};

  /** Is an answer on its way? */
  get answering() {
    return this.#turn !== null;
  }

  /** Ask and follow the answer to its end; `asked` is what a Turn shows. */
  async put(asked) {
    this.#id ??= newSession();
    const here = this.#id;
    if (location.hash !== `#${here}`) address(here);
    const shown = this.#show(asked);
    this.#begin(shown);
    speak(say("asked"));
    try {
      const job = await post("/v1/jobs", body(asked, here), { headers: { "Idempotency-Key": newSession() } });
      this.seen ||= asked.images.length > 0;
      this.#list();
      await shown.live(job);
    } catch (error) {
      shown.trouble(error);
    }
    this.#end(shown);
  }

  /** Stop the answer that is being written. */
  cancel() {
    this.#turn?.cancel();
  }

  /** Show a conversation, or an empty one; what is being answered goes on without us. */
  async open(id) {
    const number = ++this.#opened;
    this.#clear(id);
    this.#list();
    if (!id) return;
    let parts = [];
    try {
      parts = await history(id);
    } catch (error) {
      if (number !== this.#opened) return;
      this.#welcome(true);
      if (error.status !== 404) this.refused(failure(error).message);
    }
    if (number === this.#opened) parts.forEach((part) => this.#restore(part));
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
    this.seen = false;
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
    this.#welcome(false);
    find("turns").append(shown.node);
    find("scroll").scrollTop = find("scroll").scrollHeight;
    return shown;
  }

  #again(failed, tokens) {
    if (this.answering) return;
    if (!tokens) failed.node.remove();
    this.put(tokens ? { ...failed.asked, tokens } : failed.asked);
  }

  #askPage(file, number, question) {
    if (this.answering) return this.refused(say("waitForAnswer"));
    const page = { id: file.id, name: file.name, pages: file.page_count, only: number };
    this.put({ prompt: question, preset: null, images: [page] });
  }

  #restore({ asked, job, text, reason }) {
    const shown = this.#show(asked);
    this.seen ||= asked.images.length > 0;
    if (!job) shown.remembered(text, reason);
    else if (job.completed_at) shown.restored(job);
    else this.#resume(shown, job);
    this.changed();
  }

  async #resume(shown, job) {
    this.#begin(shown);
    await shown.live(job);
    this.#end(shown);
  }

  #begin(shown) {
    this.#turn = shown;
    this.changed();
  }

  #end(shown) {
    if (this.#turn === shown) {
      this.#turn = null;
      this.changed();
    }
    this.#list();
  }

  async #list() {
    const here = this.#id;
    try {
      const current = await list(here, (gone) => (gone === this.#id ? this.start() : this.#list()));
      if (current?.title && here === this.#id) entitle(titleOf(current));
    } catch {
      // the health line tells it already
    }
  }
}

function body(asked, id) {
  const { prompt, preset, images, tokens, reader } = asked;
  const question = preset ? { preset, lang: told.language } : { prompt, max_new_tokens: MAX_TOKENS };
  return {
    ...question,
    ...(tokens ? { max_new_tokens: tokens } : {}),
    ...(reader ? { reader } : {}),
    ...placesWanted(asked),
    ...(images[0]?.pages ? documentOf(images[0]) : { images: images.map((image) => image.id) }),
    session_id: id,
    metadata: { question: (prompt || presetName(preset)).slice(0, KEPT_CHARS), ...namesOf(images) },
  };
}

/** Return what a question says of its document, and of the one page that it is about. */
const documentOf = ({ id, only }) => ({ document: id, ...(only ? { pages: [only] } : {}) });

/** Return the names of a question's files, as far as they are known. */
function namesOf(images) {
  const files = images.map((image) => (image.name ?? "").slice(0, NAME_CHARS));
  return files.some(Boolean) ? { files } : {};
}

function address(id) {
  window.history.replaceState(null, "", id ? `#${id}` : location.pathname);
}

function entitle(title) {
  find("heading").textContent = title;
  document.title = title === say("newChat") ? say("title") : `${title} · Sightline`;
}
