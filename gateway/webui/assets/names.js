// Names that nobody has used yet.

const BYTES = 12;

/** Return a name for a conversation or a request. */
export function newName() {
  const bytes = crypto.getRandomValues(new Uint8Array(BYTES));
  return `s_${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
