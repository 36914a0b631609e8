// Verifies webhooks with the official library: reads {secret, headers, body} one to a line, and
// prints {accepted, message} or {accepted, why} for each.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

for (const line of readFileSync(0, "utf8").trim().split("\n")) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    const message = new Webhook(secret).verify(body, headers);
    console.log(JSON.stringify({ accepted: true, message }));
  } catch (error) {
    console.log(JSON.stringify({ accepted: false, why: error.constructor.name }));
  }
}
