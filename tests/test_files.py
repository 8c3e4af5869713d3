"""Files appear whole or not at all; a lock keeps one writer in and ends with it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.errors import LockedError
from benchmark.files import MAX_NAME_BYTES, file_name, locked, read_text, replacing, write_atomically


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)  # the longest name there is
    write_atomically(path, b"old")
    write_atomically(path, b"new", durable=True)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as file:
        file.write(b"ne")
        raise RuntimeError("half way")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    write_atomically(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode == plain.stat().st_mode


def test_a_lock_names_who_holds_it_and_ends_with_the_block(tmp_path: Path) -> None:
    path = tmp_path / "_lock"
    with locked(path, wait=False):
        with (
            pytest.raises(LockedError, match=rf"^{path}: locked by process {os.getpid()} on \S+;"),
            locked(path, wait=False),
        ):
            raise AssertionError("two in one lock")
        with pytest.raises(LockedError, match=rf"by process {os.getpid()} "), locked(path, wait=False):
            raise AssertionError("the first try has freed the lock")
    with locked(path, wait=False):
        pass
    with pytest.raises(RuntimeError, match="inside"), locked(path):
        raise RuntimeError("inside")
    with locked(path, wait=False):
        pass


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_ends_with_its_process_however_it_ends(tmp_path: Path, how: signal.Signals) -> None:
    path = tmp_path / "_lock"
    code = (
        "import sys, time; from pathlib import Path; from benchmark.files import locked\n"
        "with locked(Path(sys.argv[1])): print('locked', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
    with pytest.raises(LockedError, match=f"by process {holder.pid} on"), locked(path, wait=False):
        raise AssertionError("two in one lock")
    holder.send_signal(how)
    with locked(path):  # waits, if the process takes its time
        assert path.read_text().startswith(f"process {os.getpid()} on ")
    holder.communicate()


def test_a_lock_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"), locked(tmp_path / "nowhere" / "_lock"):
        pass
    assert not list(tmp_path.iterdir())  # a mistyped folder is not made
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), locked(tmp_path / "file" / "_lock", wait=False):
        pass


def test_names_made_from_texts_have_a_bound_and_stay_apart() -> None:
    texts = ["画" * n for n in (1, 15, 16, 28, 29, 1000)] + ["a" * 300, "a" * 301, "." * 200, "%" * 90]
    names = [file_name(text, ".png") for text in texts]
    assert len(set(names)) == len(texts)
    for name in names:
        assert len(name) <= MAX_NAME_BYTES
        assert name.isascii()
        assert name.endswith(".png")
        assert not name.startswith(".")
        assert re.fullmatch("([^%]|%[0-9A-F]{2})*", name)  # no escape is cut in two
    assert file_name("画" * 15, ".png") == "%E7%94%BB" * 15 + ".png"
    assert file_name("画" * 28, ".png").startswith("%E7%94%BB" * 13)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    for mark in (b"", b"\xef\xbb\xbf"):
        (tmp_path / "t").write_bytes(mark + "é = 1\n".encode())
        assert read_text(tmp_path / "t") == "é = 1\n"


def test_texts_of_users_are_read_in_one_place() -> None:
    """Elsewhere `read_text` reads what comes with the package or the system."""
    package = Path(__file__).parents[1] / "benchmark"
    calls = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if ".read_text(" in path.read_text(encoding="utf-8")
    }
    own = {"training/recipe.py", "report/page/html.py", "analysis/published.py"}
    system = {"environment.py", "runs/complexity.py"}
    assert calls == {"files.py", *system, *own}
