"""The plan of the house: each name stands in its registry and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.codecs import CODECS
from benchmark.data.manifests import DATASETS
from benchmark.learned.architectures import ARCHITECTURES
from benchmark.learned.quantizers import QUANTIZERS
from benchmark.metrics import METRICS, ms_ssim, ms_ssim_kernels
from benchmark.registry import Registry
from benchmark.report.figures import FIGURES
from benchmark.studies import STUDIES

PACKAGE = Path(__file__).parents[1] / "benchmark"
REGISTRIES = {
    registry.what: registry
    for registry in (ARCHITECTURES, CODECS, DATASETS, FIGURES, METRICS, QUANTIZERS, STUDIES)
}


def listed(tree: ast.AST) -> Iterator[tuple[int, set[str]]]:
    """Yield the strings of every list, tuple, set, dict and Literal of a module, with their line.

    A registry's table is no such list: its values are targets, "module:ATTRIBUTE".
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            parts: list[ast.expr | None] = list(node.elts)
        elif isinstance(node, ast.Dict) and not all(map(is_target, node.values)):
            parts = list(node.keys)
        else:
            continue
        yield (
            node.lineno,
            {p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)},
        )


def is_target(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and str(value.value).startswith("benchmark.")


def second_lists(source: str, registry: Registry[object]) -> list[tuple[int, set[str]]]:
    """Return where a module lists two or more of the registry's names."""
    names = set(registry.names())
    found = [(line, names & strings) for line, strings in listed(ast.parse(source))]
    return [(line, some) for line, some in found if len(some) > 1]


@pytest.mark.parametrize("what", sorted(REGISTRIES))
def test_no_second_list_of_names(what: str) -> None:
    registry = REGISTRIES[what]
    offences = [
        f"{path.relative_to(PACKAGE.parent)}:{line}: {sorted(some)}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, some in second_lists(path.read_text(), registry)
    ]
    assert not offences, f"a second list of {what} names; ask the registry instead"


def test_a_second_list_would_be_found() -> None:
    for source in (
        "known = ('psnr_rgb', 'ms_ssim_rgb')",
        "LABELS = {'psnr_y': 'Y', 'psnr_yuv': 'YUV'}",
        "Metric = Literal['psnr_rgb', 'psnr_y']",
        "if metric in ['psnr_rgb', 'ms_ssim_rgb']: pass",
    ):
        assert second_lists(source, METRICS), source  # type: ignore[arg-type]
    assert not second_lists("one = ('psnr_rgb', 'something else')", METRICS)  # type: ignore[arg-type]


def test_the_page_names_no_metric() -> None:
    """Scripts and templates know of metrics what the payload says."""
    names = METRICS.names()
    for path in [*PACKAGE.rglob("*.js"), *PACKAGE.rglob("*.j2")]:
        code = "\n".join(line.split("//")[0] for line in path.read_text().splitlines())
        assert not {name for name in names if name in code}, path


def test_every_built_in_entry_loads() -> None:
    for what, registry in REGISTRIES.items():
        assert not registry.faults, what
        assert [name for name, _ in registry.items()] == list(registry.names())


def test_the_window_of_ms_ssim_is_said_once() -> None:
    assert ms_ssim_kernels._TAPS == ms_ssim.TAPS
