// The caller's API key: asked for where the service wants one, and tried before it is used.

import { get, hasKey, onUnauthorized, useKey } from "../api.js";
import { find, speak } from "../dom.js";
import { failure, say } from "../words.js";

/**
 * Let the caller enter a key; `changed` is called once another one is in use. `tried` is a path that
 * only the keys that are asked for may read.
 */
export function wireKeys(changed, tried = "/v1/sessions?limit=1") {
  const dialog = find("keys");
  const input = find("keys-input");
  onUnauthorized(() => {
    if (hasKey()) complain(say("keyWrong"));
    if (!dialog.open) dialog.showModal();
  });
  find("key").addEventListener("click", () => dialog.showModal());
  find("keys-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => complain(""));
  find("keys-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    useKey(input.value.trim());
    try {
      await get(tried);
    } catch (error) {
      if (error.status !== 401) complain(failure(error).message);
      input.select();
      return;
    }
    input.value = "";
    dialog.close();
    changed();
  });
}

function complain(sentence) {
  const node = find("keys-trouble");
  node.textContent = sentence;
  node.hidden = !sentence;
  find("keys-input").setAttribute("aria-invalid", String(Boolean(sentence)));
  if (sentence) speak(sentence);
}
