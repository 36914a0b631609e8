"""Short random walks through the lives of jobs; `make walk` takes long ones."""

from __future__ import annotations

import pytest

from tests.integration.store.walk import walk


@pytest.mark.parametrize("seed", range(6))
def test_the_store_and_the_model_of_a_jobs_life_agree(redis_server, seed):
    done = walk(redis_server.url, seed, steps=300, check_every=15)
    assert done["claim_next"]
