// A conversation as Markdown, text, a table or JSON.

import { fetchBlob } from "../api.js";
import { presetName, say, told } from "../words.js";
import { fenced } from "./as_markdown.js";

/** By name: the ending and type of the file, and what writes {id, title, parts}. */
export const FORMS = {
  markdown: { ending: "md", kind: "text/markdown", write: markdown },
  text: { ending: "txt", kind: "text/plain", write: plainText },
  csv: { ending: "csv", kind: "text/csv", write: csv },
  json: { ending: "json", kind: "application/json", write: (talk) => JSON.stringify(json(talk), null, 2) },
};
/** What a table program would compute instead of showing; numbers and lone signs it may. */
const FORMULA = /^[ \u00a0]*[=+\-@\t\r\n＝＋－＠]/;
const NUMBER = /^[ \u00a0]*[+-]?\d[\d.,\u00a0 ]*%?$/;

/** Return the parts of a conversation with what people have corrected in its answers. */
export function withCorrections(parts) {
  return Promise.all(parts.map(async (part) => (part.job?.review?.corrections?.length ? { ...part, corrected: await correctedText(part.job) } : part)));
}

const correctedText = async ({ id }) => (await fetchBlob(`/v1/jobs/${id}/result?format=text&corrected=true`)).text();

function markdown({ title, parts }) {
  const sections = parts.map((part) => `${headingOf(part)}${filesLine(part)}${markdownOf(part)}`);
  return `# ${title}\n\n${sections.join("\n\n")}\n`;
}

function headingOf(part) {
  if (isInstruction(part)) return `## ${say("instruction")}\n\n${part.asked.prompt}`;
  return `## ${questionOf(part).replace(/\s*\n\s*/g, " ") || say("answer")}\n\n`;
}

const markdownOf = (part) => (told.reading.includes(part.asked.preset) ? fenced(answerOf(part)) : answerOf(part));

function plainText({ title, parts }) {
  return `${title}\n\n${parts.map(sectionOf).join("\n\n----\n\n")}\n`;
}

function sectionOf(part) {
  if (isInstruction(part)) return questionOf(part);
  if (part.asked.part === "answer") return answerOf(part);
  return `${say("you")}${say("colon")}${questionOf(part)}\n${filesLine(part)}\n${answerOf(part)}`;
}

function csv(talk) {
  const questions = talk.parts.map(questionOf);
  const rows = json(talk).turns.map((turn, n) => [turn.created_at, questions[n], turn.files.join("; "), turn.answer, turn.status, turn.seconds ?? ""]);
  const head = ["time", "question", "files", "answer", "status", "seconds"];
  // table programs take text without this mark for another alphabet's
  return `\ufeff${[head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

function cell(value) {
  const isFormula = FORMULA.test(value) && !NUMBER.test(value) && /[\p{L}\p{N}]/u.test(value);
  const text = `${isFormula ? "'" : ""}${value}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function json({ id, title, parts }) {
  return { object: "conversation", id, title, exported_at: new Date().toISOString(), turns: parts.map(turnOf) };
}

function turnOf(part) {
  const { job } = part;
  return {
    created_at: part.at,
    job_id: job?.id ?? null,
    role: part.asked.role ?? "user",
    question: isInstruction(part) ? part.asked.prompt : questionOf(part),
    preset: part.asked.preset ?? null,
    files: filesOf(part),
    images: part.asked.images.map((image) => image.id),
    status: job?.status ?? "succeeded",
    finish_reason: part.reason ?? job?.output?.finish_reason ?? null,
    answer: textOf(part),
    corrected: part.corrected !== undefined,
    warnings: job?.warnings ?? [],
    error: job?.error ?? null,
    seconds: secondsOf(job),
  };
}

function secondsOf(job) {
  if (!job?.started_at || !job.completed_at) return null;
  return (Date.parse(job.completed_at) - Date.parse(job.started_at)) / 1000;
}

const isInstruction = ({ asked }) => asked.role === "system";

function questionOf(part) {
  const { preset, prompt, words } = part.asked;
  if (isInstruction(part)) return `${say("instruction")}${say("colon")}${prompt}`;
  if (!preset || preset === "qa") return prompt;
  return [presetName(preset), words].filter(Boolean).join(say("colon"));
}

const textOf = ({ job, text, corrected }) => corrected ?? job?.output?.text ?? text ?? "";

/** Return the words of an answer, and why they are not all there. */
function answerOf(part) {
  const { job } = part;
  const isWhole = !job || job.status === "succeeded";
  return [textOf(part), isWhole ? "" : `[${job.error?.message ?? say(`ended_${job.status}`)}]`].filter(Boolean).join("\n");
}

const filesOf = ({ asked }) => asked.images.map((image) => image.name).filter(Boolean);

function filesLine(part) {
  const names = filesOf(part);
  return names.length ? `${say("files")}${say("colon")}${names.join(say("comma"))}\n\n` : "";
}
