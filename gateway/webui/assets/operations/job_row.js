// One job in the list: its cells, which change in place, and what can be done to it.

import { make } from "../dom.js";
import { say } from "../words.js";
import { actionsOf } from "./actions.js";
import { showDetails } from "./details.js";
import { kindOf, longDuration, shortId, sizeOf, stateOf } from "./wording.js";

/** A row of the table; `changed` is called when something was done to its job. */
export class JobRow {
  constructor(changed) {
    this.changed = changed;
    this.job = null;
    this.link = make("button", { type: "button", class: "id", onclick: () => showDetails(this.job, this.changed) });
    this.words = make("span");
    this.bar = make("progress", { max: "100", hidden: true });
    this.cells = Object.fromEntries(["key", "kindModel", "age", "size", "worker"].map((name) => [name, make("td", { "data-label": say(name) })]));
    this.actions = make("td", { class: "acts" });
    const { key, kindModel, age, size, worker } = this.cells;
    this.node = make("tr", {}, make("td", { class: "named" }, this.link), make("td", { class: "state", "data-label": say("state") }, this.words, this.bar), key, kindModel, age, size, worker, this.actions);
  }

  /** Show the job as it is now. */
  show(job) {
    const isNew = this.job?.status !== job.status || this.job?.canceling !== job.canceling;
    this.job = job;
    put(this.link, shortId(job.id));
    this.link.title = job.id;
    put(this.words, stateOf(job) || say(`status_${job.status}`));
    this.node.className = job.reason ? "bad" : "";
    this.bar.hidden = job.percent === null;
    this.bar.value = job.percent ?? 0;
    this.bar.setAttribute("aria-label", say(`status_${job.status}`));
    put(this.cells.key, job.key);
    put(this.cells.kindModel, [kindOf(job), job.model.split("/").pop()].filter(Boolean).join(" · "));
    put(this.cells.age, longDuration(job.age_s));
    put(this.cells.size, sizeOf(job));
    put(this.cells.worker, job.worker ?? "–");
    if (isNew) this.actions.replaceChildren(...actionsOf(job, this.changed));
  }
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
