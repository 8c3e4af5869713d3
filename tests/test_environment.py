from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from benchmark import environment

ROOT = Path(__file__).parent.parent


def test_description_is_json_and_names_what_changes_results() -> None:
    facts = json.loads(environment.describe_json())
    assert facts["packages"]["numpy"] == version("numpy")
    assert facts["cores"] >= 1
    assert facts["memory_gib"] > 0
    assert facts["processor"]
    assert facts["system"]


def test_description_does_not_name_the_host_or_its_paths() -> None:
    import socket

    text = environment.describe_json()
    assert str(ROOT) not in text
    assert socket.gethostname() not in text or len(socket.gethostname()) < 4


def test_machine_identifier_is_the_same_in_every_process() -> None:
    code = "from benchmark import environment; print(environment.machine())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == environment.machine()


def copy_package(folder: Path) -> None:
    (folder / "benchmark").mkdir(parents=True)
    (folder / "benchmark" / "__init__.py").write_text("")
    shutil.copy(ROOT / "benchmark" / "environment.py", folder / "benchmark")


def commit_in(folder: Path) -> dict[str, object]:
    code = "import json; from benchmark import environment; print(json.dumps(environment.commit()))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder
    )
    assert done.stderr == ""
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_outside_git_there_is_no_commit_and_no_error(tmp_path: Path) -> None:
    copy_package(tmp_path)
    assert commit_in(tmp_path) == {"commit": None, "dirty": None}
    (tmp_path / ".git").mkdir()  # something that git cannot read
    assert commit_in(tmp_path) == {"commit": None, "dirty": None}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_in_a_checkout_commit_and_changes_are_told(tmp_path: Path) -> None:
    copy_package(tmp_path)
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for arguments in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert commit_in(tmp_path) == {"commit": head.stdout.strip(), "dirty": False}
    (tmp_path / "benchmark" / "__init__.py").write_text("# changed\n")
    assert commit_in(tmp_path)["dirty"] is True
