// The list of jobs: one status at a time, filtered, page by page, live while it is the first page.

import { get } from "../api.js";
import { find } from "../dom.js";
import { say } from "../words.js";
import { showDetails } from "./details.js";
import { JobRow } from "./job_row.js";
import { tell } from "./saying.js";

const LIMIT = 50;
/** Pages that are read before a list with filters is shown as it is. */
const MOST_EMPTY = 10;
const FILTERS = ["key", "model", "worker", "code"];
const TYPING_MS = 300;

/** The list of jobs; `changed` is called when something was done to one. */
export class Jobs {
  constructor(changed) {
    this.status = "running";
    this.rows = new Map();
    this.next = null;
    this.isLive = true;
    this.changed = changed;
    this.wire();
  }

  wire() {
    for (const button of find("statuses").children) button.addEventListener("click", () => this.choose(button.dataset.status));
    let typing = 0;
    find("filters").addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.restart(), TYPING_MS);
    });
    find("filters").addEventListener("submit", (event) => event.preventDefault());
    find("filters").addEventListener("reset", () => setTimeout(() => this.restart()));
    find("more").addEventListener("click", () => this.showMore());
    find("live-again").addEventListener("click", () => this.restart());
    find("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.search(new FormData(event.target).get("id").trim());
    });
  }

  choose(status) {
    this.status = status;
    for (const button of find("statuses").children) button.setAttribute("aria-pressed", String(button.dataset.status === status));
    this.restart();
  }

  /** Begin at the first page again. */
  async restart() {
    this.isLive = true;
    find("clear").hidden = !this.filters().length;
    await tell(() => this.refresh());
  }

  /** Read the first page again, unless further ones are shown. */
  async refresh() {
    if (!this.isLive) return;
    const asked = this.path();
    const page = await this.read(null);
    // somebody has chosen other jobs meanwhile
    if (!this.isLive || asked !== this.path()) return;
    this.show(page.data, page.next);
  }

  async showMore() {
    await tell(async () => {
      const page = await this.read(this.next);
      this.isLive = false;
      this.show([...[...this.rows.values()].map((row) => row.job), ...page.data], page.next);
    });
  }

  /** Read on until there is something to show. */
  async read(after) {
    const data = [];
    let next = after;
    for (let pages = 0; pages < MOST_EMPTY; pages += 1) {
      const page = await get(`${this.path()}${next ? `&after=${encodeURIComponent(next)}` : ""}`);
      data.push(...page.data);
      next = page.next;
      if (!next || data.length >= LIMIT) break;
    }
    return { data, next };
  }

  filters() {
    return FILTERS.map((name) => [name, find("filters").elements[name].value.trim()]).filter(([, value]) => value);
  }

  path() {
    return `/v1/ops/jobs?${new URLSearchParams([["status", this.status], ["limit", String(LIMIT)], ...this.filters()])}`;
  }

  show(jobs, next) {
    this.next = next;
    const before = this.rows;
    this.rows = new Map(jobs.map((job) => [job.id, before.get(job.id) ?? new JobRow(this.changed)]));
    for (const job of jobs) this.rows.get(job.id).show(job);
    const nodes = [...this.rows.values()].map((row) => row.node);
    // rows that stay where they are keep their focus
    const body = find("rows");
    for (const node of [...body.children]) if (!nodes.includes(node)) node.remove();
    nodes.forEach((node, at) => body.children[at] !== node && body.insertBefore(node, body.children[at] ?? null));
    body.parentElement.hidden = !jobs.length;
    find("nothing").hidden = jobs.length > 0;
    find("nothing").textContent = say(this.filters().length ? "noMatch" : "noJobs");
    find("more").hidden = !next;
    find("live-again").hidden = this.isLive;
    find("not-live").hidden = this.isLive;
  }

  async search(id) {
    await tell(async () => showDetails(await get(`/v1/ops/jobs/${encodeURIComponent(id)}`), this.changed));
  }
}
