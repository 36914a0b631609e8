// One page of a document beside its text, and a question about that page alone.

import { pageAddress } from "./api.js";
import { find, make } from "./dom.js";
import { say, warning } from "./words.js";
import { verbatim } from "./verbatim.js";

const SHOWN_DPI = 110;
let shown = null;

/** Show a page: {document, page: {page, text, source, warnings}, step, ask}. */
export async function openPage(view) {
  shown = view;
  const { document: file, page } = view;
  find("page-title").textContent = [say("pageNumber", { n: page.page }), file.name].filter(Boolean).join(" · ");
  const text = page.text ? verbatim(page.text, { tables: page.source === "model" }) : [];
  const notices = (page.warnings ?? []).map((notice) => make("p", { class: "notice" }, warning(notice)));
  const isOpen = page.text === null && page.source && page.source !== "blank";
  const empty = make("p", { class: "quiet" }, isOpen ? "" : say(`page_${page.source ?? "waiting"}`));
  find("page-text").replaceChildren(make("div", { class: "words" }, ...notices, ...(text.length ? text : [empty])));
  find("page-image").removeAttribute("src");
  find("page-image").alt = say("pageNumber", { n: page.page });
  if (!find("pageview").open) find("pageview").showModal();
  const address = await pageAddress(file.id, page.page, SHOWN_DPI).catch(() => null);
  if (shown === view && address) find("page-image").src = address;
}

/** Let the dialog step from page to page, and take a question. */
export function wirePageView() {
  find("pageview").addEventListener("close", () => find("page-text").replaceChildren());
  find("page-before").addEventListener("click", () => shown?.step(-1));
  find("page-after").addEventListener("click", () => shown?.step(1));
  find("page-close").addEventListener("click", () => find("pageview").close());
  find("page-ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const question = find("page-question").value.trim();
    if (!question) return;
    find("page-question").value = "";
    find("pageview").close();
    shown.ask(question);
  });
}
