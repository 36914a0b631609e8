// Workers that have no model yet: how far each is, or why it gave up.

import { find, make } from "../dom.js";
import { duration, say } from "../words.js";
import { moment } from "./wording.js";

let shown = "";

/** Show the workers that load a model, and those that could not, which come first. */
export function showStarting(workers) {
  const text = JSON.stringify(workers);
  if (text === shown) return;
  shown = text;
  const failedFirst = [...workers].sort((one, other) => Boolean(other.problem) - Boolean(one.problem));
  find("starting").replaceChildren(...failedFirst.map(cardOf));
}

function cardOf(worker) {
  const state = worker.problem ? "gaveUp" : "starting";
  const header = make("header", {}, make("h3", {}, worker.name), make("span", { class: `pill ${state}` }, say(state)));
  const facts = factsOf(worker).filter(([, value]) => value);
  const rows = facts.map(([name, value]) => make("div", {}, make("dt", {}, say(name)), make("dd", {}, value)));
  return make("li", { class: state }, header, loadOf(worker), make("dl", {}, ...rows));
}

function loadOf({ percent, seconds_left, step }) {
  if (percent === null) return null;
  const left = seconds_left === null ? "" : say("eta", { time: duration(seconds_left) });
  const bar = make("progress", { max: 100, value: String(percent), "aria-label": step });
  return make("div", { class: "load" }, bar, make("small", {}, [`${percent} %`, left].filter(Boolean).join(say("comma"))));
}

function factsOf(worker) {
  return [
    ["model", worker.model],
    ["doing", worker.problem ? "" : stepOf(worker)],
    ["reason", worker.problem && say(`cannotStart_${worker.problem}`)],
    ["inItsLog", worker.reason],
    ["gaveUpAt", worker.problem && moment(worker.reported_at)],
  ];
}

const stepOf = ({ kind, step }) => ({ download: say("modelDownloads"), load: say("modelLoads") })[kind] ?? (step || say("prepares"));
