// The places of what was looked for as a table: what it is, and what is printed there.

import { make } from "../../dom.js";
import { say } from "../../words.js";

/** Return the table of objects, in which a spot is shown by `mark(cell, spot)`. */
export function objectsNode(spots, mark) {
  const rows = spots.map((spot) => {
    const label = make("td", { dir: "auto" });
    mark(label, spot);
    return make("tr", {}, label, make("td", { dir: "auto" }, spot.seen ?? say("objectShown")));
  });
  const titles = ["objectLabel", "objectText"].map((title) => make("th", { scope: "col" }, say(title)));
  const table = make("table", { class: "objects" }, make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...rows));
  return make("div", { class: "wide", tabindex: "0" }, table);
}
