// What hands do with an answer and its picture: pointing, choosing, and keys.

/** Milliseconds after which what is pointed at comes into view. */
const DWELL_MS = 120;

/** Let an answer be used: `words` is its text, `stage` its picture, `answer` the node around both. */
export function wire(view, { answer, words, stage, signal }) {
  const on = (node, type, act) => node.addEventListener(type, act, { signal });
  wireText(view, words, on);
  stage.hovered = (id) => view.light(id && view.find(id));
  stage.picked = (id) => pickOnPicture(view, view.find(id));
  on(answer, "keydown", (event) => key(view, words, event));
}

function wireText(view, words, on) {
  let dwelling = 0;
  const spotAt = (event) => view.find(event.target.closest?.("[data-spot]")?.dataset.spot);
  on(words, "pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const spot = spotAt(event);
    clearTimeout(dwelling);
    view.light(spot);
    if (spot) dwelling = setTimeout(() => view.bring(spot), DWELL_MS);
  });
  on(words, "pointerleave", () => {
    clearTimeout(dwelling);
    view.light(null);
  });
  on(words, "focusin", (event) => view.choose(spotAt(event)));
  on(words, "click", (event) => {
    const spot = spotAt(event);
    // who marks text to copy it chooses nothing
    if (!spot || event.target.matches("textarea") || !getSelection().isCollapsed) return;
    view.choose(spot);
    view.follow(spot);
  });
  on(words, "dblclick", (event) => spotAt(event) && view.fix());
}

function pickOnPicture(view, spot) {
  if (spot?.node && !view.isNarrow) view.go(spot);
  else view.choose(spot);
}

function key(view, words, event) {
  if (event.ctrlKey || event.metaKey || event.target.matches("input, textarea, select")) return;
  const act = acts(view, words.contains(event.target) && event.target.matches("[data-spot]"))[nameOf(event)];
  if (!act) return;
  event.preventDefault();
  act();
}

const nameOf = (event) => (event.altKey ? `Alt+${event.key}` : event.key);

function acts(view, isOnSpot) {
  const everywhere = {
    n: () => view.step(1),
    p: () => view.step(-1),
    "Alt+ArrowDown": () => view.step(1),
    "Alt+ArrowUp": () => view.step(-1),
    Escape: () => leave(view),
  };
  if (!isOnSpot) return everywhere;
  const [on, back] = [() => view.walk(1), () => view.walk(-1)];
  return { ...everywhere, ArrowDown: on, ArrowRight: on, ArrowUp: back, ArrowLeft: back, Enter: () => view.fix(), F2: () => view.fix() };
}

function leave(view) {
  view.choose(null);
  document.activeElement?.blur();
}
