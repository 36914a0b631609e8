// The workers: model, arithmetic, measured speed, load and memory of each, and letting one be drained.

import { post } from "../api.js";
import { find, make } from "../dom.js";
import { say } from "../words.js";
import { announce, areYouSure, tell } from "./saying.js";

const GIB = 2 ** 30;

/** The cards of the workers; `changed` is called when something was done to one. */
export class Workers {
  constructor(changed) {
    this.changed = changed;
    this.cards = new Map();
  }

  /** Show the workers as they are now. */
  show(workers) {
    find("no-workers").hidden = workers.length > 0;
    const before = this.cards;
    this.cards = new Map(workers.map((worker) => [worker.id, before.get(worker.id) ?? new Card(this.changed)]));
    for (const worker of workers) this.cards.get(worker.id).show(worker, workers);
    const nodes = [...this.cards.values()].map((card) => card.node);
    const list = find("workers");
    for (const node of [...list.children]) if (!nodes.includes(node)) node.remove();
    nodes.forEach((node, at) => list.children[at] !== node && list.insertBefore(node, list.children[at] ?? null));
  }
}

class Card {
  constructor(changed) {
    this.changed = changed;
    this.shown = "";
    this.name = make("h3");
    this.state = make("span", { class: "pill" });
    this.bar = make("progress");
    this.busy = make("small");
    this.facts = make("dl");
    this.act = make("button", { type: "button", class: "act", onclick: () => this.press() });
    this.node = make("li", {}, make("header", {}, this.name, this.state), make("div", { class: "load" }, this.bar, this.busy), this.facts, this.act);
  }

  show(worker, all) {
    this.worker = worker;
    this.all = all;
    const state = stateOf(worker);
    const busy = say("busy", worker);
    this.name.textContent = worker.id;
    this.state.textContent = say(state);
    this.state.className = `pill ${state}`;
    this.bar.max = worker.slots;
    this.bar.value = worker.busy;
    this.bar.setAttribute("aria-label", busy);
    this.busy.textContent = busy;
    // a worker that stops by itself cannot be asked for anything
    this.act.hidden = state === "stopping";
    this.act.textContent = say(worker.drained ? "resume" : "drain");
    this.act.setAttribute("aria-label", say(worker.drained ? "resumeWorker" : "drainWorker", worker));
    const facts = factsOf(worker).filter(([, value]) => value);
    const text = JSON.stringify(facts);
    if (text === this.shown) return;
    this.shown = text;
    this.facts.replaceChildren(...facts.map(([name, value]) => make("div", {}, make("dt", {}, say(name)), make("dd", {}, value))));
  }

  async press() {
    const { id, drained } = this.worker;
    const others = this.all.filter((worker) => worker.id !== id && !worker.draining);
    if (!drained && !(await areYouSure(say("sureDrain"), others.length ? "" : say("lastReady")))) return;
    await tell(async () => {
      await post(`/v1/ops/workers/${encodeURIComponent(id)}/${drained ? "resume" : "drain"}`);
      announce(say(drained ? "didResume" : "didDrain", { id }));
      await this.changed();
    });
  }
}

function stateOf({ draining, drained, busy }) {
  if (drained) return busy ? "draining" : "drained";
  return draining ? "stopping" : "ready";
}

function factsOf(worker) {
  return [
    ["model", `${worker.model}${worker.simulated && worker.model !== "simulated" ? ` (${say("simulated")})` : ""}`],
    ["revision", worker.revision === worker.model ? "" : worker.revision],
    ["numerics", [worker.numerics, worker.numerics_reason].filter(Boolean).join(say("comma"))],
    ["arithmetic", worker.arithmetic],
    ["rates", ratesOf(worker) || say("unmeasured")],
    ["load", worker.batch_requests ? say("loadWords", { n: worker.load_factor.toFixed(2), batch: worker.batch_requests.toFixed(1) }) : ""],
    ["memory", memoryOf(worker)],
    ["reader", worker.reader],
    ["queues", worker.consumes?.join(say("comma"))],
    ["host", `${worker.host}${say("comma")}${say("process", worker)}`],
    ["version", worker.version],
  ];
}

function ratesOf(worker) {
  const rates = [
    ["rateEncode", worker.encode_tokens_per_s],
    ["ratePrefill", worker.prefill_tokens_per_s],
    ["rateDecode", worker.decode_tokens_per_s],
    ["secondsPerJob", worker.seconds_per_job],
  ];
  return rates.filter(([, n]) => n > 0).map(([name, n]) => say(name, { n: n < 10 ? n.toFixed(1) : Math.round(n) })).join(say("comma"));
}

function memoryOf({ memory_bytes, memory_total_bytes }) {
  if (!memory_bytes) return "";
  const n = (memory_bytes / GIB).toFixed(1);
  return memory_total_bytes ? say("memoryOf", { n, all: (memory_total_bytes / GIB).toFixed(0) }) : say("memoryAlone", { n });
}
