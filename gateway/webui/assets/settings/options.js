// What the settings say in a request.

import { chosenModel } from "../ask/model.js";
import { chosenThinking } from "../ask/thinking.js";
import { say, told } from "../words.js";
import { fieldNames, problemOfFields, problemOfForm, responseFormat } from "./forms.js";
import { settings } from "./store.js";

/** Return what the service knows of a preset; undefined for none. */
export const presetOf = (name) => told.presets.find((preset) => preset.name === name);

/** Does a preset need `prompt`, `fields` or `labels`? */
export const needs = (name, what) => presetOf(name)?.needs.includes(what) ?? false;

/** Does a preset take the words of the asker: a question, or what to look for? */
export const takesWords = (name) => needs(name, "prompt") || needs(name, "labels");

/** Are the words of a question the asker's own? Only then the answer's form is the asker's too. */
const isOwn = (preset) => !preset || preset === "qa";

/** Return {field, sentence} where the settings cannot be used for this question; null if they can. */
export function objectionTo(preset) {
  const { enhance, steps, form, fields } = settings();
  if (enhance === "steps" && !steps.length) return { field: "enhance", sentence: say("noSteps") };
  const wrong = needs(preset, "fields") ? problemOfFields(fields) : isOwn(preset) && problemOfForm(settings());
  return wrong ? { field: form === "schema" && isOwn(preset) ? "schema" : "fields", sentence: wrong } : null;
}

/** Return the members of a request that the settings make, for this preset or for own words. */
export function optionsFor(preset) {
  const { detail, longest, language, enhance, steps, fields } = settings();
  const format = isOwn(preset) ? responseFormat(settings()) : null;
  const [model, thinks] = [chosenModel(), chosenThinking()];
  return {
    ...(model ? { model } : {}),
    ...(thinks === null ? {} : { enable_thinking: thinks }),
    ...(detail === "auto" ? {} : { detail }),
    ...(longest ? { max_new_tokens: Number(longest) } : {}),
    ...(enhance ? { enhance: enhance === "steps" ? steps : enhance } : {}),
    ...(preset && language ? { lang: language } : {}),
    ...(needs(preset, "fields") ? { fields: fieldNames(fields) } : {}),
    ...(format ? { response_format: format } : {}),
  };
}
