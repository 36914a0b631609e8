// The drawings of the queue's history: what waited and ran, and how many jobs ended a minute.

import { find, make } from "../dom.js";
import { say, told } from "../words.js";

const WIDTH = 600;
const HEIGHT = 130;
/** Points that a drawing has at most: more of them would be one blot. */
const MOST_POINTS = 180;
const CHARTS = {
  depth: ["queued", "running"],
  rate: ["succeeded", "failed"],
};

/** Draw the points of the last `minutes`, the earliest first. */
export function showHistory(points, minutes) {
  find("no-history").hidden = points.length > 0;
  find("charts").hidden = points.length === 0;
  if (!points.length) return;
  const rates = grouped(points).map((point) => ({ ...point, succeeded: aMinute(point, "succeeded"), failed: aMinute(point, "failed") }));
  for (const [id, names] of Object.entries(CHARTS)) {
    find(`${id}-keys`).replaceChildren(...names.map((name, at) => make("span", { class: `series-${at}` }, say(`series_${name}`))));
    find(id).replaceChildren(drawing(id, names, rates, minutes), axis(rates));
  }
}

/** Put neighbours together where there are many: the fullest queue of them, the jobs of all. */
function grouped(points) {
  const size = Math.ceil(points.length / MOST_POINTS);
  const groups = Array.from({ length: Math.ceil(points.length / size) }, (_, at) => points.slice(at * size, (at + 1) * size));
  return groups.map((group) => {
    const most = (name) => Math.max(...group.map((point) => point[name]));
    const sum = (name) => group.reduce((total, point) => total + point[name], 0);
    return { ...group.at(-1), queued: most("queued"), running: most("running"), seconds: sum("seconds"), succeeded: sum("succeeded"), failed: sum("failed") };
  });
}

const aMinute = (point, name) => (60 * point[name]) / Math.max(1, point.seconds);
const shortened = (number) => String(number < 10 ? Math.round(number * 10) / 10 : Math.round(number));

function drawing(id, names, points, minutes) {
  const most = Math.max(1, ...points.flatMap((point) => names.map((name) => point[name])));
  const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": wordsOf(id, names, points) });
  const end = Date.parse(points.at(-1).at);
  const x = (point) => WIDTH * Math.max(0, 1 - (end - Date.parse(point.at)) / (minutes * 60_000));
  const y = (value) => HEIGHT - 4 - ((HEIGHT - 8) * value) / most;
  for (const share of [0, 0.5, 1]) {
    svg.append(node("line", { x1: 0, x2: WIDTH, y1: y(most * share), y2: y(most * share), class: "rule" }));
  }
  names.forEach((name, at) => {
    const places = points.map((point) => `${x(point).toFixed(1)},${y(point[name]).toFixed(1)}`);
    // a single point is a short line, or nobody would see it
    if (places.length === 1) places.push(`${Math.max(0, x(points[0]) - 6).toFixed(1)},${y(points[0][name]).toFixed(1)}`);
    svg.append(node("polyline", { points: places.join(" "), class: `series-${at}`, "vector-effect": "non-scaling-stroke" }));
  });
  const box = make("div", { class: "plot" }, make("span", { class: "most", "aria-hidden": "true" }, say("most", { n: shortened(most) })));
  box.append(svg);
  return box;
}

function axis(points) {
  const style = { hour: "2-digit", minute: "2-digit" };
  const time = (point) => new Intl.DateTimeFormat(told.language, style).format(new Date(point.at));
  return make("div", { class: "axis", "aria-hidden": "true" }, make("span", {}, points.length > 1 ? time(points[0]) : ""), make("span", {}, time(points.at(-1))));
}

/** Return in words what a drawing shows. */
function wordsOf(id, names, points) {
  const places = {};
  for (const name of names) {
    places[name] = shortened(points.at(-1)[name]);
    places[`${name}Most`] = shortened(Math.max(...points.map((point) => point[name])));
  }
  return say(`${id}Words`, places);
}

function node(tag, attributes) {
  const one = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, String(value));
  return one;
}
