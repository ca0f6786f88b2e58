"""A stored model gives the same bits where it was not trained: decisions are replayed elsewhere."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from churn import artifact
from churn.model import HazardModel
from churn.train import train
from tests.unit.churn.small_business import QUICK, make_business

ROOT = Path(__file__).resolve().parents[3]
ELSEWHERE = """
import sys
from pathlib import Path
import numpy as np
from churn import artifact
from churn.model import HazardModel

folder = Path(sys.argv[1])
model = HazardModel(artifact.load((folder / "model.json").read_bytes()), threads=2)
found = model.predict(np.load(folder / "matrix.npy"), np.load(folder / "left.npy"))
np.save(folder / "found.npy", np.stack([found.within(days) for days in (30, 60, 90, 120)]))
print(model.digest)
"""


def test_another_process_scores_the_same_bits_and_names_the_same_model(tmp_path: Path):
    business = make_business(contacts=300)
    trained = train(
        business.contacts,
        business.events,
        business.definition,
        as_of=business.until,
        settings=QUICK,
    )
    rng = np.random.default_rng(8)
    matrix = rng.gamma(2.0, 20.0, (500, len(trained.feature_names)))
    left = rng.uniform(0, 150, 500)
    (tmp_path / "model.json").write_bytes(artifact.dump(trained))
    np.save(tmp_path / "matrix.npy", matrix)
    np.save(tmp_path / "left.npy", left)
    said = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    here = HazardModel(trained)
    assert said.stdout.strip() == here.digest
    expected = here.predict(matrix, left)
    for row, days in zip(np.load(tmp_path / "found.npy"), (30, 60, 90, 120), strict=True):
        np.testing.assert_array_equal(row, expected.within(days))
