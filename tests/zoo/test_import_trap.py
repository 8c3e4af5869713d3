"""`import compressai` under a CPU build of torch with the registry's torchvision."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT

from benchmark import torchvision_stub
from benchmark.torchvision_stub import remedy


def test_the_remedy_is_told_where_the_builds_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"torch": "2.13.0+cpu", "torchvision": "0.28.0"}
    monkeypatch.setattr(torchvision_stub, "version", found.__getitem__)
    said = remedy() or ""
    assert "pip install torchvision==0.28.0 --index-url https://download.pytorch.org/whl/cpu" in said
    for fitting in ({"torchvision": "0.28.0+cpu"}, {"torch": "2.13.0"}):
        monkeypatch.setattr(torchvision_stub, "version", {**found, **fitting}.__getitem__)
        assert remedy() is None


def test_doctor_tells_it_if_and_only_if_a_plain_import_fails(tmp_path: Path) -> None:
    plain = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import compressai"],
        capture_output=True,
        text=True,
        check=False,
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "benchmark", "doctor"]
    told = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    fails = "torchvision::nms does not exist" in plain.stderr
    assert fails == ("a plain `import compressai` fails" in told.stdout)
    assert "  opt  compressai " in told.stdout
    assert "  opt  command " in told.stdout


def test_a_module_of_an_installed_codec_imports_compressai(tmp_path: Path) -> None:
    """In a fresh process, before anything of bench has imported it, and torch is not imported for it."""
    (tmp_path / "wrapping.py").write_text(
        "import sys\nassert 'torch' not in sys.modules\nfrom compressai.models import FactorizedPrior\n"
        "class Wrapped:\n    encode = decode = FactorizedPrior.forward\n"
    )
    program = (
        "from benchmark.codecs import make_codec; import sys\n"
        "make_codec('jpeg'); assert 'torch' not in sys.modules\n"
        "make_codec('wrapping.py:Wrapped'); print('imported')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "imported\n", done.stderr
