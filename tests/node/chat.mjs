// Asks a gateway through openai-js and prints what came back as one JSON object.
// Arguments: base URL, data: URL of an image.
import OpenAI from "openai";

const [baseURL, image] = process.argv.slice(2);
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
const models = [];
for await (const model of client.models.list()) models.push(model.id);

console.log(
  JSON.stringify({
    whole,
    streamed: await streamed(),
    patient: patient.usage.completion_tokens,
    models,
    parameter: await refused({ n: 3 }),
    model: await refused({ model: "gpt-none" }),
  }),
);
