// How pictures come in: chosen, taken with a camera, pasted, dropped, or an example.

import { find } from "../dom.js";

/** Give the composer every picture that a person brings. */
export function wireIntake(composer) {
  for (const [button, input] of [["add", "files"], ["snap", "photo"]]) {
    find(button).addEventListener("click", () => find(input).click());
  }
  for (const input of [find("files"), find("photo")]) {
    input.addEventListener("change", () => {
      composer.take([...input.files]);
      input.value = "";
    });
  }
  for (const button of find("examples").querySelectorAll("button")) {
    button.addEventListener("click", async () => {
      const { picture, preset } = button.dataset;
      const answer = await fetch(`${document.body.dataset.assets}/${picture}.png`);
      composer.take([new File([await answer.blob()], `${picture}.png`, { type: "image/png" })]);
      composer.ask(preset);
    });
  }
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    composer.take(files);
  });
  wireDrop(composer);
}

function wireDrop(composer) {
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
    composer.take([...event.dataTransfer.files]);
  });
}
