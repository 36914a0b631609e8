// What surrounds a conversation: the list on phones, the theme, the language, enlarged pictures.

import { find } from "../dom.js";
import { nextTheme } from "./theme.js";

/** So far from the end, a button leads there. */
const AWAY_PX = 160;

/** Make the page's frame answer to hands and keys. */
export function wireLook(talk) {
  find("menu").addEventListener("click", () => menu(true));
  find("close-menu").addEventListener("click", () => menu(false));
  find("shade").addEventListener("click", () => menu(false));
  find("new").addEventListener("click", () => menu(false));
  find("theme").addEventListener("click", nextTheme);
  for (const id of ["close-viewer", "viewer"]) {
    find(id).addEventListener("click", () => find("viewer").close());
  }
  // the conversation comes along into the other language
  find("language").addEventListener("click", (event) => {
    event.currentTarget.href = event.currentTarget.getAttribute("href").split("#")[0] + location.hash;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const list = document.querySelector("details.saver[open]");
    if (list) closeList(list);
    else if (document.body.classList.contains("open")) menu(false);
    else if (!document.querySelector("dialog[open]")) talk.cancel();
  });
  wireEnd();
  wireLists();
  addEventListener("hashchange", () => {
    menu(false);
    talk.open(location.hash.slice(1) || null);
  });
}

function wireEnd() {
  const scroll = find("scroll");
  const look = () => {
    find("down").hidden = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < AWAY_PX;
  };
  scroll.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(find("turns"));
  find("down").addEventListener("click", () => (scroll.scrollTop = scroll.scrollHeight));
}

/** A list of forms that is open closes by a press beside it. */
function wireLists() {
  document.addEventListener("click", ({ target }) => {
    for (const list of document.querySelectorAll("details.saver[open]")) {
      if (!list.contains(target)) list.open = false;
    }
  });
}

function closeList(list) {
  list.open = false;
  list.querySelector("summary").focus();
}

function menu(on) {
  document.body.classList.toggle("open", on);
  find("menu").setAttribute("aria-expanded", String(on));
  if (on) find("close-menu").focus();
}
