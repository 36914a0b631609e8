// How jobs and workers are put into words.

import { duration, knows, presetName, say, told } from "../words.js";

/** Return seconds that may be days as people say them. */
export function longDuration(seconds) {
  if (seconds >= 2 * 86_400) return say("days", { n: Math.round(seconds / 86_400) });
  if (seconds >= 2 * 3600) return say("hours", { n: Math.round(seconds / 3600) });
  return duration(seconds);
}

/** Return an id short enough for a table: its random end tells jobs of one moment apart. */
export const shortId = (id) => (id.length > 16 ? `${id.slice(0, 4)}…${id.slice(-8)}` : id);

/** Return what a job is asked to do. */
export const kindOf = ({ kind }) => (knows(`kind_${kind}`) ? say(`kind_${kind}`) : presetName(kind));

/** Return how large a job is. */
export function sizeOf({ size }) {
  const used = (size.prompt_tokens ?? 0) + (size.completion_tokens ?? 0);
  const parts = [
    counted(size.images, "image", "images"),
    counted(size.pages, "pageOf", "pagesOf"),
    used ? say("tokens", { n: used }) : size.visual_tokens ? say("visual", { n: size.visual_tokens }) : "",
  ];
  return parts.filter(Boolean).join(say("comma")) || say("noSize");
}

/** Return what a job is doing, or why it ended so; "" where its status says all. */
export function stateOf(job) {
  if (job.canceling) return say("canceling");
  if (job.reason) return told.words.errors[job.reason.code]?.[0] ?? job.reason.title;
  if (job.status === "scheduled" && job.not_before) return say("due", { time: moment(job.not_before) });
  if (job.status !== "running") return "";
  const parts = job.parts ? say("partsDone", { done: job.parts_done, all: job.parts }) : "";
  const stage = job.stage && knows(`stage_${job.stage}`) ? say(`stage_${job.stage}`) : "";
  const left = job.eta_s ? say("eta", { time: duration(job.eta_s) }) : "";
  return [parts || stage, left].filter(Boolean).join(say("comma"));
}

/** Return a moment in the reader's own time. */
export function moment(text) {
  const style = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return new Intl.DateTimeFormat(told.language, style).format(new Date(text));
}

const counted = (n, one, many) => (n === 1 ? say(one) : n ? say(many, { n }) : "");
