// The pages of a document below its question: a small picture of each, with its state.

import { pageAddress } from "./api.js";
import { make } from "./dom.js";
import { openPage } from "./pageview.js";
import { THUMB_DPI } from "./ask/pictures.js";
import { say } from "./words.js";

export class Pages {
  #cards = new Map();
  #document;
  #ask;
  #observer;

  /** `document` as a job names it; `ask` is called with a page's number and a question about it. */
  constructor(document, ask) {
    this.#document = document;
    this.#ask = ask;
    this.#observer = new IntersectionObserver((entries) => this.#draw(entries), { rootMargin: "200px" });
    const cards = document.pages.map((number) => this.#card(number));
    this.node = make("ol", { class: "pages", "aria-label": say("pagesOf", { name: document.name ?? "" }) }, ...cards);
  }

  /** Show that a page is ready: {page, text, source, gap, warnings}. */
  take(page) {
    const card = this.#cards.get(page.page);
    if (!card) return;
    card.page = { ...card.page, ...page };
    const state = page.gap ? "gap" : page.source;
    card.node.dataset.state = state;
    card.state.textContent = say(`page_${state}`);
  }

  #card(number) {
    const image = make("img", { alt: "" });
    const state = make("small", {}, say("page_waiting"));
    const button = make(
      "button",
      { type: "button" },
      make("span", { class: "sheet" }, image),
      make("span", { class: "unseen" }, say("openPage"), " "),
      make("span", {}, String(number), " ", state),
    );
    const node = make("li", { "data-state": "waiting" }, button);
    const card = { node, button, image, state, page: { page: number, text: null } };
    button.addEventListener("click", () => this.#open(number));
    this.#cards.set(number, card);
    image.dataset.page = number;
    this.#observer.observe(image);
    return node;
  }

  /** Load the pictures of the pages that come into view. */
  #draw(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      this.#observer.unobserve(target);
      pageAddress(this.#document.id, Number(target.dataset.page), THUMB_DPI).then(
        (address) => (target.src = address),
        () => target.remove(),
      );
    }
  }

  #open(number) {
    const numbers = this.#document.pages;
    openPage({
      document: this.#document,
      page: this.#cards.get(number).page,
      step: (by) => this.#open(numbers[(numbers.indexOf(number) + by + numbers.length) % numbers.length]),
      ask: (question) => this.#ask(number, question),
    });
  }
}
