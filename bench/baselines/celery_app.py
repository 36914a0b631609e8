"""Baseline: a minimal Flask app that gives a job to Celery and answers with its id."""

from __future__ import annotations

import os
import time

from celery import Celery
from flask import Flask, Response, jsonify, request

_REDIS = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

queue = Celery("baseline", broker=_REDIS, backend=_REDIS)
# acknowledge a task at its end, as recommended for workers that may die
queue.conf.task_acks_late = os.environ.get("BASELINE_ACKS_LATE") == "1"
app = Flask(__name__)


@queue.task
def answer(prompt: str) -> str:
    time.sleep(float(os.environ.get("BASELINE_WORK_S", "0")))
    return prompt


@app.post("/predict")
def predict() -> tuple[Response, int]:
    job = answer.delay(request.get_json()["prompt"])
    return jsonify(id=job.id, status="queued"), 202
