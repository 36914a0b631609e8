// What people have said of an answer: corrections and confirmations, kept beside it by the service.

import { post } from "../api.js";

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

  /** Return the correction of a spot, {value, before, by, at}, or undefined. */
  correction = (spot) => this.#corrections.get(spot.says);

  /** Was this spot seen to be right, or corrected? */
  isSettled(spot) {
    return this.#corrections.has(spot.says) || prefixes(spot.says).some((above) => this.#confirmed.has(above));
  }

  /** Did the request want a person to look at this spot? */
  isListed = (spot) => prefixes(spot.id).some((above) => this.#listed.has(above));

  /** Keep what a spot should say. */
  correct = (spot, value) => this.#say({ corrections: [{ pointer: spot.says, value }] });

  /** Keep that a spot is right as it is. */
  confirm = (spot) => this.#say({ confirmed: [spot.id] });

  async #say(body) {
    const answer = await post(`/v1/jobs/${this.#job.id}/review`, body);
    this.#take(answer.review ?? answer);
  }

  #take(review) {
    this.#corrections = new Map((review?.corrections ?? []).map((one) => [one.pointer, one]));
    this.#confirmed = new Set((review?.confirmed ?? []).map((one) => one.pointer ?? one));
  }
}

/** Return a pointer and those of all that it is part of, but of the whole answer. */
function prefixes(pointer) {
  const parts = pointer.split("/");
  return parts.slice(1).map((_, n) => parts.slice(0, n + 2).join("/"));
}
