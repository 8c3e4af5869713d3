"""Where a result comes from: commit, machine, processor, versions, threads."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "pillow", "numba", "torch", "compressai", "pytorch-msssim", "constriction", "pyarrow")
"""The distributions that can change a result or its time."""


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch work in so many threads meanwhile: sums over more end in other last digits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def describe() -> dict[str, Any]:
    """Return what identifies this process's code and machine, JSON-serializable."""
    return {
        "bench": installed("bench-codec"),
        **commit(),
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in PACKAGES},
        "processor": processor(),
        "cores": cores(),
        "memory_gib": memory_gib(),
        "system": system(),
        "machine": machine(),
    }


@cache
def describe_json() -> str:
    """Return `describe()` as JSON, keys sorted: equal text for equal surroundings."""
    return json.dumps(describe(), sort_keys=True)


def machine() -> str:
    """Return an identifier of the machine's kind: times compare only between equal ones.

    Made of processor, cores and operating system, and not of the host's name: that says nothing about speed,
    and does not belong into published results.
    """
    kind = f"{processor()}|{cores()}|{platform.system()}|{platform.machine()}"
    return hashlib.sha256(kind.encode()).hexdigest()[:12]


def commit() -> dict[str, Any]:
    """Return the commit of the checkout that this package runs from and whether it has changes.

    Both are None when it runs from no git checkout, or without git.
    """
    checkout = Path(__file__).resolve().parent.parent
    if not (checkout / ".git").exists():
        return {"commit": None, "dirty": None}
    head = _git(checkout, "rev-parse", "HEAD")
    changes = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    return {"commit": head, "dirty": None if changes is None else bool(changes)}


def bench_version() -> str:
    """Return the version of this package and, in a checkout, its commit: "0.1.0, commit 0123abc, changed"."""
    held = commit()
    at = [f"commit {held['commit'][:12]}"] if held["commit"] else []
    return ", ".join(
        [installed("bench-codec") or "not installed", *at, *(["changed"] if held["dirty"] else [])]
    )


def _git(checkout: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(checkout), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def installed(distribution: str) -> str | None:
    """Return the version of a distribution, None where it is not installed; imports nothing."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


@cache
def processor() -> str:
    """Return the processor's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, None) or platform.processor() or platform.machine()


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gib() -> float:
    """Return the machine's memory in GiB, rounded."""
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


@cache
def system() -> str:
    """Return the name of the operating system and its kernel."""
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {platform.system()} {platform.release()} {platform.machine()}"
