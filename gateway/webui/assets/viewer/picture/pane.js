// The picture beside an answer: its sheets one at a time, its tools, and what is chosen on it.

import { find, icon, make } from "../../dom.js";
import { say } from "../../words.js";
import { Stage } from "./stage.js";

const KEY_ZOOM = 1.4;

// a picture is never taller than what can be seen of the conversation
new ResizeObserver(([{ contentRect }]) => find("scroll").style.setProperty("--room", `${contentRect.height}px`)).observe(find("scroll"));

export class Pane {
  #sheets;
  #spots = [];
  #kinds = () => null;
  #shown = null;
  #ready = null;
  #picked = null;
  #name = make("span", { class: "sheet-name" });
  #gone = make("p", { class: "quiet", hidden: true }, say("imageGone"));
  stage = new Stage();

  /** `sheets` as sheetsOf returns them, at least one. */
  constructor(sheets) {
    this.#sheets = sheets;
    const steps = sheets.length > 1 ? [tool("left", "sheetBefore", () => this.#step(-1)), this.#name, tool("right", "sheetAfter", () => this.#step(1))] : [this.#name];
    const zoom = (factor) => () => this.stage.zoom(factor);
    this.tools = make(
      "div",
      { class: "tools", role: "toolbar", "aria-label": say("viewTools") },
      ...steps,
      tool("zoom-out", "zoomOut", zoom(1 / KEY_ZOOM)),
      tool("zoom-in", "zoomIn", zoom(KEY_ZOOM)),
      tool("fit", "fitWidth", () => this.stage.fit()),
      tool("rotate", "rotate", () => this.stage.rotate()),
    );
    this.frame = make("div", { class: "frame" }, this.tools, this.stage.node, this.#gone);
    this.node = make("div", { class: "pane" }, this.frame);
    this.show(sheets[0].key);
  }

  /** Know the places of an answer; `kind(spot)` is what one is: `doubt`, `fixed` or null. */
  know(spots, kind) {
    this.#spots = spots.filter((spot) => spot.corners);
    this.#kinds = kind;
    this.#ready?.then(() => this.#place());
  }

  /** Show a sheet by its key; resolves once it can be seen. */
  show(key) {
    if (key === this.#shown) return this.#ready;
    this.#shown = key;
    this.#ready = this.#load(this.#sheets.find((sheet) => sheet.key === key));
    return this.#ready;
  }

  async #load(sheet) {
    const number = this.#sheets.indexOf(sheet) + 1;
    const many = this.#sheets.length > 1;
    this.#name.textContent = many ? say("sheetOf", { name: sheet.name, n: number, total: this.#sheets.length }) : sheet.name;
    this.stage.node.dataset.sheet = sheet.key;
    try {
      const [address, size] = await Promise.all([sheet.address(), sheet.size()]);
      if (this.#shown !== sheet.key) return;
      await this.stage.show(address, size, sheet.name);
      this.#tellGone(false);
    } catch {
      if (this.#shown === sheet.key) this.#tellGone(true);
      return;
    }
    this.#place();
  }

  #tellGone(isGone) {
    this.#gone.hidden = !isGone;
    this.stage.node.hidden = isGone;
  }

  #place() {
    const here = this.#spots.filter((spot) => spot.sheet === this.#shown);
    this.stage.place(here.map((spot) => ({ id: spot.id, corners: spot.corners, kind: this.#kinds(spot) })));
    this.stage.light(this.#picked, "picked");
  }

  /** Show what a spot is now. */
  note(spot) {
    this.stage.note(spot.id, this.#kinds(spot));
  }

  /** Light up a spot for as long as it is pointed at; null puts the light out. */
  light(spot) {
    this.stage.light(spot?.id ?? null, "lit");
  }

  /** Choose a spot, or none: its sheet is shown and its place comes into view. */
  async choose(spot) {
    this.#picked = spot?.id ?? null;
    this.stage.light(this.#picked, "picked");
    if (spot) await this.bring(spot);
  }

  /** Bring the place of a spot into view, on its sheet. */
  async bring(spot) {
    if (!spot.sheet || !this.#sheets.some((sheet) => sheet.key === spot.sheet)) return;
    await this.show(spot.sheet);
    if (this.#shown === spot.sheet) this.stage.reveal(spot.id);
  }

  #step(by) {
    const at = this.#sheets.findIndex((sheet) => sheet.key === this.#shown);
    this.show(this.#sheets[(at + by + this.#sheets.length) % this.#sheets.length].key);
  }
}

function tool(drawing, name, act) {
  return make("button", { type: "button", class: "icon", "aria-label": say(name), title: say(name), onclick: act }, icon(drawing));
}
