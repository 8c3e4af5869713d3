"""A quick part of the proof that the gate works: real codecs, three planted faults, unchanged repetitions.

The whole proof (twelve faults, fifty repetitions) is tests/gate/plant_faults.py.
"""

from pathlib import Path

import pandas as pd
import pytest
import torch
from faulty import FAULTS, Fault, measure, planted, write_images

from benchmark.gate.check import check
from benchmark.learned.weights import available, weights_folder

CODECS = ("jpeg", "null")
THREE = {"swept-tcq8": (0.85, 1.2, 1.7)}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_images(tmp_path_factory.mktemp("images"), ("astronaut.png", "coffee.png"))


@pytest.fixture(scope="module")
def clean(images: dict[str, Path]) -> pd.DataFrame:
    return measure(images, CODECS)


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.codec in CODECS], ids=lambda f: str(f.name))
def test_planted_faults_fail_the_gate(fault: Fault, images: dict[str, Path], clean: pd.DataFrame) -> None:
    with planted(fault):
        spoiled = measure(images, [fault.codec])
    report = check(pd.concat([clean[clean["codec"] != fault.codec], spoiled]), clean)
    assert report.exit_code == 1
    assert {v.verdict for v in report.verdicts if v.codec != fault.codec} == {"pass"}


def test_unchanged_codecs_pass_bit_for_bit(images: dict[str, Path], clean: pd.DataFrame) -> None:
    report = check(measure(images, CODECS), clean)
    assert report.exit_code == 0
    assert all(v.identical for v in report.verdicts)


@pytest.mark.skipif(not available("baseline", weights_folder()), reason="no trained weights ship")
def test_a_trellis_that_ignores_rate_fails_and_an_unchanged_one_passes_on_two_threads(
    images: dict[str, Path],
) -> None:
    one = {name: path for name, path in images.items() if name == "coffee.png"}
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        clean = measure(one, ["swept-tcq8"], THREE)
        torch.set_num_threads(2)
        again = check(measure(one, ["swept-tcq8"], THREE), clean)
    finally:
        torch.set_num_threads(threads)
    assert again.exit_code == 0
    (fault,) = (f for f in FAULTS if f.name.startswith("trellis"))
    with planted(fault):
        spoiled = measure(one, ["swept-tcq8"], THREE)
    assert check(spoiled, clean).exit_code == 1
