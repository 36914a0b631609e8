// The page: what a person does with it, and what follows from that.

import { get, post, useKey } from "./api.js";
import { find, make, speak } from "./dom.js";
import { Pictures } from "./pictures.js";
import { history, list, newSession, titleOf } from "./sessions.js";
import { presetIcon, Turn } from "./turn.js";
import { duration, failure, presetName, say, told } from "./words.js";

/** Tokens of an answer to a question in one's own words. */
const MAX_TOKENS = 512;
const HEALTH_EVERY_MS = 15_000;
const ESTIMATE_AFTER_MS = 250;
/** Characters of a question that are kept beside its job, for when it leaves no turn. */
const KEPT_CHARS = 800;

const field = find("question");
const pictures = new Pictures(picturesChanged, refuse);
let session = null;
let seen = false;
let turn = null;
let opened = 0;

// asking

async function ask(preset = null) {
  const words = field.value.trim();
  if (turn) return;
  if (!preset && !words) return refuse(say("needsQuestion"));
  if (preset && !seen && pictures.empty) return refuse(say("needsImage"));
  busy(true);
  await pictures.settled();
  if (preset && !seen && !pictures.ready.length) {
    busy(false);
    return;
  }
  const asked = { prompt: preset ? "" : words, preset, images: pictures.handOver() };
  if (!preset) field.value = "";
  fit();
  await put(asked);
}

async function put(asked) {
  session ??= newSession();
  const here = session;
  if (location.hash !== `#${here}`) history_.replace(here);
  const shown = new Turn(asked, tryAgain);
  turn = shown;
  show(shown);
  busy(true);
  speak(say("asked"));
  try {
    const job = await post("/v1/jobs", body(asked, here), { headers: { "Idempotency-Key": crypto.randomUUID?.() ?? newSession() } });
    seen ||= asked.images.length > 0;
    refreshList();
    await shown.live(job);
  } catch (error) {
    shown.trouble(error);
  }
  if (turn === shown) {
    turn = null;
    busy(false);
    estimate();
  }
  refreshList();
}

function body({ prompt, preset, images }, id) {
  const question = preset ? { preset, lang: told.language } : { prompt, max_new_tokens: MAX_TOKENS };
  return {
    ...question,
    images: images.map((image) => image.id),
    session_id: id,
    metadata: { question: (prompt || presetName(preset)).slice(0, KEPT_CHARS) },
  };
}

function tryAgain(failed) {
  if (turn) return;
  failed.node.remove();
  put(failed.asked);
}

function refuse(sentence) {
  note(sentence, true);
  speak(sentence);
}

function note(sentence, bad = false) {
  const node = find("note");
  node.textContent = sentence;
  node.classList.toggle("trouble", bad);
}

function busy(on) {
  find("send").hidden = on;
  find("stop").hidden = !on;
  for (const button of find("presets").children) button.disabled = on || !usable();
}

const usable = () => seen || !pictures.empty;

// what it would cost

let asking = 0;
let estimates = true;

function picturesChanged() {
  note("");
  busy(turn !== null);
  find("welcome").classList.toggle("small", !pictures.empty);
  estimate();
}

function estimate() {
  clearTimeout(asking);
  if (!estimates || turn || !pictures.ready.length) return;
  asking = setTimeout(async () => {
    const images = pictures.ready.map((picture) => picture.stored.id);
    const question = { prompt: field.value.trim() || "?", max_new_tokens: MAX_TOKENS, images };
    try {
      const found = await post("/v1/estimate", question);
      if (!turn && pictures.ready.length) note(costs(found));
    } catch (error) {
      estimates = error.status !== 404 && error.status !== 405;
    }
  }, ESTIMATE_AFTER_MS);
}

function costs({ seconds, queue, tiles, admitted, refusal }) {
  if (!admitted) return `${say("refusedNow")} ${failure(refusal).message}`;
  const sentences = [];
  if (seconds) {
    const [time, most] = [duration(seconds.p50), duration(seconds.p95)];
    sentences.push(say(time === most ? "estimate" : "estimateTo", { time, most }));
  }
  if (queue?.wait_s >= 1) sentences.push(say("estimateWait", { wait: duration(queue.wait_s) }));
  if (tiles > 1) sentences.push(say("estimateTiles", { n: tiles }));
  return sentences.join(" ");
}

// conversations

const history_ = {
  replace(id) {
    window.history.replaceState(null, "", id ? `#${id}` : location.pathname);
  },
};

function show(shown) {
  find("welcome").hidden = true;
  find("turns").append(shown.node);
  find("scroll").scrollTop = find("scroll").scrollHeight;
  field.placeholder = say("placeholderFollow");
}

async function open(id) {
  const number = ++opened;
  turn?.leave();
  turn = null;
  session = id;
  seen = false;
  find("turns").replaceChildren();
  find("welcome").hidden = Boolean(id);
  find("heading").textContent = say("newChat");
  field.placeholder = say("placeholder");
  note("");
  busy(false);
  menu(false);
  refreshList();
  if (!id) return;
  let parts = [];
  try {
    parts = await history(id);
  } catch (error) {
    if (number !== opened) return;
    find("welcome").hidden = false;
    if (error.status !== 404) refuse(failure(error).message);
  }
  if (number === opened) parts.forEach(restore);
  busy(turn !== null);
}

function restore({ asked, job, text, reason }) {
  const shown = new Turn(asked, tryAgain);
  show(shown);
  seen ||= asked.images.length > 0;
  if (!job) shown.remembered(text, reason);
  else if (job.completed_at) shown.ended(job);
  else resume(shown, job);
}

async function resume(shown, job) {
  turn = shown;
  await shown.live(job);
  if (turn !== shown) return;
  turn = null;
  busy(false);
  refreshList();
}

async function refreshList() {
  try {
    const current = await list(session, (gone) => (gone === session ? start() : refreshList()));
    const first = current?.title ? titleOf(current) : null;
    if (first) find("heading").textContent = first;
  } catch {
    // the health line tells it already
  }
}

function start() {
  history_.replace(null);
  pictures.clear();
  open(null);
  field.focus();
}

function menu(on) {
  document.body.classList.toggle("open", on);
  find("menu").setAttribute("aria-expanded", String(on));
  if (on) find("close-menu").focus();
}

// how the service does

async function health() {
  const node = find("health");
  let [sentence, bad] = [say("offline"), true];
  try {
    const queue = await get("/v1/queue");
    const models = [...new Set(queue.workers.map((worker) => worker.model.split("/").pop()))];
    bad = !models.length;
    const waiting = queue.queued ? ` · ${say("busy", { n: queue.queued })}` : "";
    sentence = bad ? say("noWorkers") : `${models.join(", ")}${waiting}`;
  } catch {
    // the sentence stands
  }
  node.textContent = sentence;
  node.classList.toggle("bad", bad);
  node.hidden = false;
}

// hands

function fit() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

function takeFiles(files) {
  note("");
  pictures.add(files);
  field.focus();
}

async function takeExample() {
  const answer = await fetch(`${document.body.dataset.assets}/example.png`);
  takeFiles([new File([await answer.blob()], say("example"), { type: "image/png" })]);
}

function nextTheme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = root.dataset.theme ?? (dark ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; max-age=31536000; path=/; samesite=lax`;
}

function wireAsking() {
  find("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  field.addEventListener("input", fit);
  field.addEventListener("keydown", (event) => {
    // Enter that chooses a Chinese word does not send
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    ask();
  });
  find("stop").addEventListener("click", () => turn?.cancel());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (document.body.classList.contains("open")) menu(false);
    else if (!document.querySelector("dialog[open]")) turn?.cancel();
  });
  for (const { name } of told.presets) {
    const button = make("button", { type: "button", disabled: true }, presetIcon(name), presetName(name));
    button.addEventListener("click", () => ask(name));
    find("presets").append(button);
  }
}

function wirePictures() {
  for (const [button, input] of [["add", "files"], ["choose", "files"], ["snap", "photo"]]) {
    find(button).addEventListener("click", () => find(input).click());
  }
  for (const input of [find("files"), find("photo")]) {
    input.addEventListener("change", () => {
      takeFiles([...input.files]);
      input.value = "";
    });
  }
  find("example").addEventListener("click", takeExample);
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    takeFiles(files);
  });
  wireDrop();
}

function wireDrop() {
  let depth = 0;
  const over = (change) => {
    depth = Math.max(0, depth + change);
    find("drop").hidden = depth === 0;
  };
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => carries(event) && over(1));
  addEventListener("dragleave", (event) => carries(event) && over(-1));
  addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    over(-depth);
    takeFiles([...event.dataTransfer.files]);
  });
}

function wireRest() {
  find("new").addEventListener("click", start);
  find("menu").addEventListener("click", () => menu(true));
  find("close-menu").addEventListener("click", () => menu(false));
  find("shade").addEventListener("click", () => menu(false));
  find("theme").addEventListener("click", nextTheme);
  find("key").addEventListener("click", () => find("keys").showModal());
  find("keys-close").addEventListener("click", () => find("keys").close());
  find("keys-form").addEventListener("submit", () => {
    useKey(find("keys-input").value.trim());
    location.reload();
  });
  find("close-viewer").addEventListener("click", () => find("viewer").close());
  find("viewer").addEventListener("click", () => find("viewer").close());
  // the conversation comes along into the other language
  find("language").addEventListener("click", (event) => {
    event.currentTarget.href = event.currentTarget.getAttribute("href").split("#")[0] + location.hash;
  });
  addEventListener("hashchange", () => open(location.hash.slice(1) || null));
}

wireAsking();
wirePictures();
wireRest();
open(location.hash.slice(1) || null);
health();
setInterval(health, HEALTH_EVERY_MS);
