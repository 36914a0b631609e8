"""Baseline: a queue in the web process with jobs in a dictionary, as docling-serve's default."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException

app = FastAPI()
_jobs: dict[str, str] = {}
_slots = asyncio.Semaphore(int(os.environ.get("BASELINE_SLOTS", "4")))
_tasks: set[asyncio.Task[None]] = set()


async def _answer(job_id: str) -> None:
    async with _slots:
        await asyncio.sleep(float(os.environ.get("BASELINE_WORK_S", "0")))
    _jobs[job_id] = "succeeded"


@app.post("/predict", status_code=202)
async def predict(body: dict[str, Any]) -> dict[str, str]:
    """Accept a job; it is stored until the process ends."""
    job_id = f"{uuid.uuid4()} {body['prompt'][:20]}".split()[0]
    _jobs[job_id] = "queued"
    task = asyncio.create_task(_answer(job_id))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return {"id": job_id, "status": "queued"}


@app.get("/jobs/{job_id}")
async def job(job_id: str) -> dict[str, str]:
    """Return the status of a job."""
    if job_id not in _jobs:
        raise HTTPException(404)
    return {"id": job_id, "status": _jobs[job_id]}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
