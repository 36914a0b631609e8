// A picture that is zoomed, moved and turned, with the places on it.

import { make } from "../../dom.js";
import { say } from "../../words.js";
import { Gestures } from "./gestures.js";

const SPACE = "http://www.w3.org/2000/svg";
const MOST_ZOOM = 8;
/** Pixels of the screen that one pixel of the picture may become. */
const MOST_ENLARGED = 4;
/** Pixels of the screen that stay free around a place that is brought into view. */
const MARGIN = 24;
/** Of the height of a line, what is left free around it. */
const PADDED = 0.18;

export class Stage {
  #zoom = 1;
  #turn = 0;
  #shapes = new Map();
  #image = make("img", { alt: "", decoding: "async" });
  #overlay = document.createElementNS(SPACE, "svg");
  #turned;
  #sheet;
  /** Called with the id of the place that is pointed at, or null. */
  hovered = () => {};
  /** Called with the id of the place that is chosen. */
  picked = () => {};

  constructor() {
    this.#overlay.setAttribute("preserveAspectRatio", "none");
    this.#overlay.setAttribute("aria-hidden", "true");
    this.#turned = make("div", { class: "turned" }, this.#image, this.#overlay);
    this.#sheet = make("div", { class: "sheet" }, this.#turned);
    this.node = make("div", { class: "stage", tabindex: "0", role: "group", "aria-label": say("viewPicture") }, this.#sheet);
    new ResizeObserver(() => this.#lay()).observe(this.node);
    this.#overlay.addEventListener("pointerover", (event) => this.hovered(event.target.dataset.spot ?? null));
    this.#overlay.addEventListener("pointerleave", () => this.hovered(null));
    new Gestures(this.node, {
      zoom: (factor, point) => this.zoom(factor, point),
      press: (target) => target.dataset?.spot && this.picked(target.dataset.spot),
      turn: () => this.rotate(),
      fit: () => this.fit(),
    });
  }

  /** Show a picture; `size` is the unit of its places, null for its own pixels. Rejects if it is gone. */
  async show(address, size, name) {
    const old = this.#image.src;
    this.#shapes.clear();
    this.#overlay.replaceChildren();
    this.#image.alt = name;
    this.#image.src = address;
    await this.#image.decode();
    if (old.startsWith("blob:") && old !== address) URL.revokeObjectURL(old);
    const { naturalWidth: width, naturalHeight: height } = this.#image;
    // a file of pictures may ask for a turn that its measures do not heed
    const lies = size && size.width > size.height !== width > height && size.width !== size.height;
    const [across, down] = lies ? [size.height, size.width] : [size?.width ?? width, size?.height ?? height];
    this.#overlay.setAttribute("viewBox", `0 0 ${across} ${down}`);
    this.#lay();
  }

  /** Show places: [{id, corners, kind}]. */
  place(spots) {
    this.#shapes.clear();
    this.#overlay.replaceChildren(...spots.map((spot) => this.#shape(spot)));
  }

  #shape({ id, corners, kind }) {
    const shape = document.createElementNS(SPACE, "polygon");
    shape.setAttribute("points", padded(corners).map((corner) => corner.join(",")).join(" "));
    shape.dataset.spot = id;
    if (kind) shape.classList.add(kind);
    this.#shapes.set(id, shape);
    return shape;
  }

  /** Light up a place, as `lit` or `picked`; null puts the light out. */
  light(id, how) {
    for (const shape of this.#overlay.querySelectorAll(`.${how}`)) shape.classList.remove(how);
    this.#shapes.get(id)?.classList.add(how);
  }

  /** Set what a place is: `doubt`, `fixed` or null. */
  note(id, kind) {
    const shape = this.#shapes.get(id);
    shape?.classList.remove("doubt", "fixed");
    if (kind) shape?.classList.add(kind);
  }

  /** Bring a place into view, as far as it is not. */
  reveal(id) {
    const shape = this.#shapes.get(id);
    if (!shape) return;
    const [seen, frame] = [shape.getBoundingClientRect(), this.node.getBoundingClientRect()];
    const left = shift(seen.left - frame.left, seen.right - frame.left, this.node.clientWidth);
    const top = shift(seen.top - frame.top, seen.bottom - frame.top, this.node.clientHeight);
    if (left || top) this.node.scrollBy({ left, top });
  }

  /** Enlarge by a factor, around a point of the screen or the middle. */
  zoom(factor, point = null) {
    const most = Math.max(MOST_ZOOM, (MOST_ENLARGED * this.#image.naturalWidth) / Math.max(1, this.node.clientWidth));
    const before = this.#zoom;
    this.#zoom = Math.min(most, Math.max(1, before * factor));
    const frame = this.node.getBoundingClientRect();
    const x = point ? point.x - frame.left : this.node.clientWidth / 2;
    const y = point ? point.y - frame.top : this.node.clientHeight / 2;
    const grown = this.#zoom / before;
    const [left, top] = [(this.node.scrollLeft + x) * grown - x, (this.node.scrollTop + y) * grown - y];
    this.#lay();
    this.node.scrollTo({ left, top, behavior: "instant" });
  }

  /** Turn by a quarter, clockwise. */
  rotate() {
    this.#turn = (this.#turn + 90) % 360;
    this.#lay();
  }

  /** Show it as wide as the frame. */
  fit() {
    this.#zoom = 1;
    this.#lay();
    this.node.scrollTo({ left: 0, top: 0, behavior: "instant" });
  }

  #lay() {
    const { naturalWidth, naturalHeight } = this.#image;
    if (!naturalWidth || !this.node.clientWidth) return;
    const lies = this.#turn % 180 !== 0;
    const [across, down] = lies ? [naturalHeight, naturalWidth] : [naturalWidth, naturalHeight];
    const width = this.node.clientWidth * this.#zoom;
    const height = (width * down) / across;
    size(this.#sheet, width, height);
    size(this.#turned, lies ? height : width, lies ? width : height);
    this.#turned.style.transform = `translate(-50%, -50%) rotate(${this.#turn}deg)`;
    this.node.dataset.turn = this.#turn;
  }
}

function size(node, width, height) {
  node.style.width = `${width}px`;
  node.style.height = `${height}px`;
}

/** Return corners a little further out, so that a line around them leaves the letters free. */
function padded(corners) {
  const [first, second, , fourth] = corners;
  const [along, across] = [between(first, second), between(first, fourth)];
  const pad = PADDED * Math.min(Math.hypot(...along), Math.hypot(...across));
  const [right, down] = [scaled(along, pad), scaled(across, pad)];
  const signs = [[-1, -1], [1, -1], [1, 1], [-1, 1]];
  return corners.map(([x, y], n) => [x + signs[n][0] * right[0] + signs[n][1] * down[0], y + signs[n][0] * right[1] + signs[n][1] * down[1]]);
}

const between = ([left, top], [right, bottom]) => [right - left, bottom - top];
const scaled = ([x, y], length) => (x || y ? [(x * length) / Math.hypot(x, y), (y * length) / Math.hypot(x, y)] : [0, 0]);

/** Return by how much to scroll so that what is from `start` to `stop` comes into a frame. */
function shift(start, stop, length) {
  if (start >= 0 && stop <= length) return 0;
  return stop - start + 2 * MARGIN > length ? start - MARGIN : (start + stop - length) / 2;
}
