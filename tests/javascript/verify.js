// Verifies messages with the official library: {secret, headers, body} a line, true or false a line.
"use strict";

const { Webhook } = require("standardwebhooks");

const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
for (const line of lines) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    const told = new Webhook(secret).verify(body, headers);
    console.log(JSON.stringify({ accepted: true, told }));
  } catch (error) {
    console.log(JSON.stringify({ accepted: false, why: error.constructor.name }));
  }
}
