// One conversation in the list: its picture, name, file and time; it can be renamed and deleted.

import { icon, make } from "../dom.js";
import { presetName, say, told } from "../words.js";
import { keep, keptOf } from "./kept.js";

/** Return what a conversation is called: its new name, its preset's, or its first question. */
export function titleOf({ id, title, preset }) {
  const { name } = keptOf(id);
  if (name) return name;
  if (preset && preset !== "qa") return presetName(preset);
  return title?.trim() || say("unnamedChat");
}

/** Return the list's node of a conversation; `renamed` and `remove` are called when that is wanted. */
export function entry(session, isHere, { renamed, remove }) {
  const title = titleOf(session);
  const { file, thumb } = keptOf(session.id);
  const link = make(
    "a",
    { href: `#${session.id}`, class: session.busy ? "working" : undefined, "aria-current": isHere ? "page" : undefined },
    thumb ? make("img", { src: thumb, alt: "", width: "36", height: "36" }) : make("span", { class: "no-thumb" }, icon("text")),
    make("span", { class: "entry-words" }, make("b", {}, title), make("small", {}, file ? make("span", { class: "entry-file" }, file) : null, timeOf(session))),
  );
  const node = make("li", { class: isHere ? "current" : undefined, "data-session": session.id }, link);
  node.append(
    tool("pen", say("renameChat", { title }), () => rename(node, session, renamed)),
    tool("trash", say("deleteChat", { title }), () => remove(session.id, title)),
  );
  return node;
}

/** Return what a search may find an entry by. */
export const wordsOf = (session) => [titleOf(session), session.title ?? "", keptOf(session.id).file ?? ""].join("\n").toLowerCase();

function tool(drawing, label, act) {
  return make("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick: act }, icon(drawing));
}

function timeOf(session) {
  const at = new Date(session.updated_at);
  const isToday = at.toDateString() === new Date().toDateString();
  const style = isToday ? { hour: "2-digit", minute: "2-digit" } : { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
  const time = new Intl.DateTimeFormat(told.language, style).format(at);
  return make("time", { datetime: session.updated_at }, time);
}

/** Put a field in the place of an entry's link: Enter renames, Escape leaves it. */
function rename(node, session, renamed) {
  const before = titleOf(session);
  const field = make("input", { value: before, maxlength: "80", "aria-label": say("renameTo") });
  const link = node.querySelector("a");
  link.replaceWith(field);
  field.select();
  let isOver = false;
  const end = (name) => {
    if (isOver) return;
    isOver = true;
    if (name !== null && name !== before) keep(session.id, { name: name || undefined });
    renamed(session.id);
  };
  field.addEventListener("blur", () => end(field.value.trim()));
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    end(event.key === "Enter" ? field.value.trim() : null);
  });
}
