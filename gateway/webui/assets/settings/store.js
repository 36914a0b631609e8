// How answers are to be made: what a person chose, kept in this browser.

import { told } from "../words.js";

const KEPT_AS = "sightline-settings";
/** What each setting is where nobody chose. */
const DEFAULTS = {
  detail: "auto",
  longest: "",
  language: "",
  enhance: "",
  steps: [],
  form: "text",
  fields: "",
  schema: "",
};
/** The values that a setting of a few may have. */
const VALUES = {
  detail: ["auto", "low", "high"],
  language: ["", "en", "zh"],
  enhance: ["", "auto", "off", "steps"],
  form: ["text", "json", "fields", "schema"],
};

const listeners = new Set();
let chosen = { ...DEFAULTS, ...sound(read()) };

/** Return all settings: {detail, longest, language, enhance, steps, form, fields, schema}. */
export const settings = () => chosen;

/** Choose; whoever listens is called. */
export function choose(changes) {
  chosen = { ...chosen, ...sound(changes) };
  try {
    localStorage.setItem(KEPT_AS, JSON.stringify(chosen));
  } catch {
    // it holds for as long as the page is open
  }
  for (const listener of listeners) listener();
}

/** Take one setting back, or all of them. */
export function reset(...names) {
  const back = names.length ? names : Object.keys(DEFAULTS);
  choose(Object.fromEntries(back.map((name) => [name, DEFAULTS[name]])));
}

/** Call `listener` whenever something is chosen. */
export const onChange = (listener) => listeners.add(listener);

/** Return the names of the settings that differ from how they were. */
export function changed() {
  const names = Object.keys(VALUES).concat("longest");
  const differing = names.filter((name) => chosen[name] !== DEFAULTS[name]);
  // fields are asked for by their preset too, and a form that is not filled in asks for nothing
  return chosen.fields.trim() && chosen.form !== "fields" ? [...differing, "fields"] : differing;
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEPT_AS)) ?? {};
  } catch {
    return {};
  }
}

/** Return those of the settings whose values can be; a browser may hold those of another version. */
function sound(values) {
  const fits = {
    longest: (value) => value === "" || (Number.isInteger(Number(value)) && Number(value) > 0 && Number(value) <= told.max_tokens),
    steps: (value) => Array.isArray(value) && value.every((step) => told.enhance_steps.includes(step)),
    fields: (value) => typeof value === "string",
    schema: (value) => typeof value === "string",
  };
  const isSound = ([name, value]) => VALUES[name]?.includes(value) ?? fits[name]?.(value) ?? false;
  return Object.fromEntries(Object.entries(values).filter(isSound));
}
