"""The benchmark itself runs: a tiny round of it, Rebeco and the floors only. Its figures mean nothing here."""

import json
import os
import subprocess
import sys

import pytest
import rig


@pytest.mark.limit(180)
def test_the_benchmark_runs(tmp_path):
    env = {**os.environ, "SCALE": "0.1", "ROUNDS": "1", "SECONDS_EACH": "1", "ONLY": "rebeco,floor,floor (upsert)", "PARTS": "copy,catchup",
           "BENCH_OUT": str(tmp_path), "REBECO_RELEASE": rig.RELEASE}
    p = subprocess.run([sys.executable, os.path.join(rig.TOP, "tests/bench/bench.py")], env=env, capture_output=True, text=True,
                       stdin=subprocess.DEVNULL, timeout=170)
    assert p.returncode == 0, p.stdout[-3000:] + p.stderr[-3000:]
    with open(tmp_path / "bench.json") as f:
        found = json.load(f)
    assert not found["failures"]
    assert found["figures"]["copy"]["rebeco"]["seconds"][0] > 0 and found["figures"]["copy"]["floor"]["seconds"][0] > 0
    assert found["figures"]["catchup"]["rebeco"]["second_seconds"][0] > 0
    measured = {r["what"] for r in found["ratios"] if r["value"] is not None}
    assert {"initial copy, of the floor", "catch-up, of the best floor"} <= measured
    assert "initial copy, of the floor" in p.stdout
    assert (tmp_path / "bench-copy.svg").read_text().startswith("<svg")
