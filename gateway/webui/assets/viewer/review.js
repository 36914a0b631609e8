// What people have said of an answer: corrections and confirmations, kept beside it by the service.

import { post } from "../api.js";
import { cellsOf } from "../tables.js";

export class Review {
  #job;
  #corrections = new Map();
  #confirmed = new Set();
  #listed;

  constructor(job) {
    this.#job = job;
    this.#take(job.review);
    this.#listed = new Set(job.output?.review ?? []);
  }

  /** Does the service keep what people say of answers? */
  get isKept() {
    return "review" in this.#job;
  }

  /** Has someone corrected anything? */
  get hasCorrections() {
    return this.#corrections.size > 0;
  }

  /** Return the correction of a spot, {value, before, by, reviewer, at}, or undefined. */
  correction = (spot) => this.#corrections.get(spot.says) ?? this.#ofRow(spot);

  /** Return what the correction of a whole row says of one of its cells. */
  #ofRow({ cell, line, shown, text }) {
    const row = cell === undefined ? undefined : this.#corrections.get(`/lines/${line}/text`);
    const value = row && (cellsOf(row.value)[cell] ?? "");
    return row && value !== (shown ?? text) ? { ...row, value } : undefined;
  }

  /** Was this spot seen to be right, or corrected? */
  isSettled(spot) {
    return Boolean(this.correction(spot)) || prefixes(spot.says ?? spot.id).some((above) => this.#confirmed.has(above));
  }

  /** Did the request want a person to look at this spot? */
  isListed = (spot) => prefixes(spot.id).some((above) => this.#listed.has(above));

  /** Keep what a spot should say. */
  correct = (spot, value) => this.#say({ corrections: [{ pointer: spot.says, value }] });

  /** Keep that a spot is right as it is. */
  confirm = (spot) => this.#say({ confirmed: [spot.id] });

  async #say(body) {
    const { review } = await post(`/v1/jobs/${this.#job.id}/review`, body);
    this.#take(review);
  }

  #take(review) {
    this.#corrections = new Map((review?.corrections ?? []).map((one) => [one.pointer, one]));
    this.#confirmed = new Set((review?.confirmed ?? []).map(({ pointer }) => pointer));
  }
}

/** Return a pointer and those of all that it is part of, but of the whole answer. */
function prefixes(pointer) {
  const parts = pointer.split("/");
  return parts.slice(1).map((_, n) => parts.slice(0, n + 2).join("/"));
}
