// Asks a gateway through openai-js and prints what came back as one JSON object.
// Arguments: base URL, data: URL of an image, data: URL of a document.
import OpenAI from "openai";

const [baseURL, image, document] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const messages = [
  {
    role: "user",
    content: [
      { type: "image_url", image_url: { url: image } },
      { type: "text", text: "What does it say?" },
    ],
  },
];
const request = { model: "sightline", messages, max_tokens: 6 };

async function streamed() {
  const stream = await client.chat.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  return { text, usage };
}

async function refused(options) {
  try {
    await client.chat.completions.create({ ...request, ...options });
  } catch (error) {
    const { status, code, param, type } = error;
    return { kind: error.constructor.name, status, code, param, type };
  }
  return null;
}

const whole = await client.chat.completions.create(request);
// longer than this client says that it waits
const patient = await client.chat.completions.create(
  { ...request, messages: [{ role: "user", content: "at length" }], max_tokens: 24 },
  { timeout: 1000 },
);
const file = { filename: "a.pdf", file_data: document };
const documented = await client.chat.completions.create({
  ...request,
  messages: [
    { role: "user", content: [{ type: "file", file }, { type: "text", text: "What is it?" }] },
  ],
});
const models = [];
for await (const model of client.models.list()) models.push(model.id);

// a background response: left after some words, resumed, chained, canceled
async function responses() {
  const text = (events) =>
    events
      .filter((event) => event.type === "response.output_text.delta")
      .map((event) => event.delta)
      .join("");
  const input = [
    {
      role: "user",
      content: [
        { type: "input_text", text: "What does it say?" },
        { type: "input_image", image_url: image, detail: "auto" },
      ],
    },
  ];
  const events = [];
  const stream = await client.responses.create({
    model: "sightline",
    input,
    background: true,
    stream: true,
  });
  for await (const event of stream) {
    events.push(event);
    if (events.length === 8) break;
  }
  const { id } = events[0].response;
  const rest = await client.responses.retrieve(id, {
    stream: true,
    starting_after: events.at(-1).sequence_number,
  });
  for await (const event of rest) events.push(event);
  const whole = await client.responses.retrieve(id);
  const next = await client.responses.create({
    model: "sightline",
    input: "And now?",
    previous_response_id: id,
    background: true,
  });
  const items = [];
  for await (const item of client.responses.inputItems.list(id)) items.push(item.type);
  return {
    numbers: events.map((event) => event.sequence_number),
    text: text(events),
    whole: whole.output_text,
    canceled: (await client.responses.cancel(next.id)).status,
    previous: next.previous_response_id === id,
    items,
  };
}

console.log(
  JSON.stringify({
    whole,
    streamed: await streamed(),
    patient: patient.usage.completion_tokens,
    documented,
    models,
    responses: await responses(),
    parameter: await refused({ n: 3 }),
    model: await refused({ model: "gpt-none" }),
  }),
);
