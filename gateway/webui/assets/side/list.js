// The list of conversations at the side: the newest first, searched, renamed and deleted.

import { erase, get } from "../api.js";
import { find, make, speak } from "../dom.js";
import { say } from "../words.js";
import { entry, titleOf, wordsOf } from "./entry.js";
import { forget } from "./kept.js";
import { learn } from "./thumbs.js";
import { offerUndo } from "./undo.js";

const DAY_MS = 86_400_000;
const LISTED = 100;

export class List {
  #sessions = [];
  #current = null;
  #left;
  #renamed;
  #going = new Set();
  #seen = new IntersectionObserver((entries) => this.#learn(entries));

  /** `left` is called when the open conversation is deleted, `renamed` when it has another name. */
  constructor(left, renamed) {
    this.#left = left;
    this.#renamed = renamed;
    find("search").addEventListener("input", () => this.#show());
  }

  /** Look the conversations up and show them; return the open one, if it is among them. */
  async refresh(current) {
    this.#current = current;
    this.#sessions = (await get(`/v1/sessions?limit=${LISTED}`)).data;
    this.#show();
    return this.#sessions.find((session) => session.id === current);
  }

  #show() {
    // a name that is being typed is left alone
    if (find("sessions").querySelector("input")) return;
    const sought = find("search").value.trim().toLowerCase();
    const kept = this.#sessions.filter((session) => !this.#going.has(session.id));
    const shown = kept.filter((session) => wordsOf(session).includes(sought));
    find("search").hidden = !kept.length && !sought;
    const focused = document.activeElement?.closest("#sessions li")?.dataset.session;
    const none = make("p", { class: "quiet" }, say(sought ? "noneFound" : "noSessions"));
    find("sessions").replaceChildren(...(shown.length ? this.#groups(shown) : [none]));
    if (focused) this.#focus(focused);
    this.#seen.disconnect();
    for (const node of find("sessions").querySelectorAll("li")) this.#seen.observe(node);
  }

  #focus(id) {
    find("sessions").querySelector(`[data-session="${id}"] a`)?.focus();
  }

  #groups(sessions) {
    const days = new Map();
    for (const session of sessions) {
      const day = dayOf(session.updated_at);
      days.set(day, [...(days.get(day) ?? []), this.#entry(session)]);
    }
    return [...days].flatMap(([day, entries]) => [make("h2", {}, say(day)), make("ul", {}, ...entries)]);
  }

  #entry(session) {
    return entry(session, session.id === this.#current, {
      renamed: (id) => this.#rename(id),
      remove: (id, title) => this.#remove(id, title),
    });
  }

  #rename(id) {
    find("sessions").querySelector("input")?.remove();
    this.#show();
    const session = this.#sessions.find((one) => one.id === id);
    if (session && id === this.#current) this.#renamed(titleOf(session));
    this.#focus(id);
  }

  /** Take a conversation out of the list at once, and delete it when nobody wants it back. */
  #remove(id, title) {
    const wasOpen = id === this.#current;
    this.#going.add(id);
    this.#show();
    if (wasOpen) this.#left();
    const sentence = say("deletedChat", { title });
    speak(sentence);
    offerUndo(sentence, { undo: () => this.#bringBack(id, wasOpen), end: () => this.#delete(id) });
  }

  #bringBack(id, wasOpen) {
    this.#going.delete(id);
    this.#show();
    this.#focus(id);
    if (wasOpen) location.hash = id;
  }

  async #delete(id) {
    // it stays out of sight until it is gone; where that fails it is there again
    await erase(`/v1/sessions/${id}`, { keepalive: true }).then(() => forget(id), () => {});
    this.#going.delete(id);
    await this.refresh(this.#current).catch(() => {});
  }

  /** Learn the pictures of entries that come into view. */
  async #learn(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      this.#seen.unobserve(target);
      if (await learn(target.dataset.session).catch(() => false)) this.#show();
    }
  }
}

function dayOf(time) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const at = Date.parse(time);
  if (at >= midnight) return "today";
  return at >= midnight - DAY_MS ? "yesterday" : "earlier";
}
