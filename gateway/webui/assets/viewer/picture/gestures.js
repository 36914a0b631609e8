// How a hand moves a picture: wheel, pinch, dragging, pressing, and keys.

const WHEEL_STEP = 0.0022;
const KEY_STEP = 1.3;
/** Pixels from which a press is a pull. */
const PULLED = 4;

export class Gestures {
  #node;
  #act;
  #held = new Map();
  #from = null;
  #apart = 0;

  /** `act`: {zoom(factor, point), press(target), turn(), fit()}. */
  constructor(node, act) {
    this.#node = node;
    this.#act = act;
    node.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    node.addEventListener("pointerdown", (event) => this.#down(event));
    node.addEventListener("pointermove", (event) => this.#move(event));
    node.addEventListener("pointerup", (event) => this.#up(event));
    node.addEventListener("pointercancel", (event) => this.#end(event));
    node.addEventListener("keydown", (event) => this.#key(event));
  }

  /** The wheel zooms once the picture is chosen; before that, it scrolls the conversation. */
  #wheel(event) {
    const isChosen = event.ctrlKey || event.metaKey || document.activeElement === this.#node;
    if (!isChosen) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.#act.zoom(Math.exp(-event.deltaY * lines * WHEEL_STEP), { x: event.clientX, y: event.clientY });
  }

  #down(event) {
    this.#held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.#apart = 0;
    const isOne = this.#held.size === 1 && event.button === 0;
    this.#from = isOne ? { x: event.clientX, y: event.clientY, target: event.target, pulled: false } : null;
  }

  #move(event) {
    const before = this.#held.get(event.pointerId);
    if (!before) return;
    // the button was let go outside of the window
    if (event.pointerType === "mouse" && !event.buttons) return this.#end(event);
    const here = { x: event.clientX, y: event.clientY };
    this.#held.set(event.pointerId, here);
    if (this.#held.size === 2) this.#pinch();
    else if (this.#from) this.#pull(event, before, here);
  }

  #pinch() {
    const [one, two] = [...this.#held.values()];
    const apart = Math.hypot(one.x - two.x, one.y - two.y);
    if (this.#apart) this.#act.zoom(apart / this.#apart, { x: (one.x + two.x) / 2, y: (one.y + two.y) / 2 });
    this.#apart = apart;
  }

  #pull(event, before, here) {
    this.#from.pulled ||= Math.hypot(here.x - this.#from.x, here.y - this.#from.y) > PULLED;
    // a finger moves the picture by itself
    if (event.pointerType !== "mouse" || !this.#from.pulled) return;
    this.#node.setPointerCapture(event.pointerId);
    this.#node.scrollBy({ left: before.x - here.x, top: before.y - here.y, behavior: "instant" });
  }

  #up(event) {
    if (this.#from && !this.#from.pulled) this.#act.press(this.#from.target);
    this.#end(event);
  }

  #end(event) {
    this.#held.delete(event.pointerId);
    this.#from = null;
    this.#apart = 0;
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { zoom, turn, fit } = this.#act;
    const acts = { "+": () => zoom(KEY_STEP), "=": () => zoom(KEY_STEP), "-": () => zoom(1 / KEY_STEP), 0: fit, r: turn };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }
}
