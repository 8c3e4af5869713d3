from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.errors import UsageError, WeightsError
from benchmark.learned.architectures.loading import trained_state
from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.learned.quantizers.by_rate import CalibratedSettings
from benchmark.learned.weights import (
    available,
    content_sha256,
    load_model,
    read_manifest,
    read_weights,
    update_settings,
    write_weights,
)

NETWORK = {"architecture": "mean-scale", "N": 4, "M": 6, "linear_branch": True}
PLAIN: dict[str, Any] = {"network": NETWORK, "settings": {}, "provenance": {}}
SETTINGS = {
    "tcq8": CalibratedSettings({0.013: QuantizerSettings(0.61, 0.08)}),
    "rdoq": CalibratedSettings({0.013: QuantizerSettings(1.1, 0.1)}),
}


def state_of(seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return trained_state(MeanScaleHyperprior(4, 6, linear_branch=True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for lmbda in (0.0067, 0.013):
        write_weights(
            tmp_path,
            state_of(1),
            network=NETWORK,
            variant="baseline",
            lmbda=lmbda,
            settings=SETTINGS,
            provenance={"steps": 5},
        )
    return tmp_path


def finetuned(folder: Path) -> dict[str, Tensor]:
    network, _ = load_model("baseline", 0.013, folder)
    state = trained_state(network)
    for name in state:
        if name.startswith("g_s."):
            state[name] = state[name] + 1e-3 * torch.sin(torch.arange(state[name].numel())).view_as(
                state[name]
            )
    return state


def test_what_is_written_is_loaded(folder: Path) -> None:
    network, info = load_model("baseline", 0.013, folder)
    assert not network.training
    assert (info.variant, info.lmbda, info.network) == ("baseline", 0.013, NETWORK)
    assert info.settings == SETTINGS
    assert info.provenance == {"steps": 5}
    for name, tensor in trained_state(network).items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, state_of(1)[name].half().float()), name
    assert info.sha256 == content_sha256(trained_state(network))


def test_available_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from benchmark.learned.weights import available;"
        f"print(available('baseline', Path({str(folder)!r})), available('none', Path({str(folder)!r})));"
        "assert not {'torch', 'numba'} & set(sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    assert (done.stdout, done.stderr) == ("(0.0067, 0.013) ()\n", "")


def test_the_environment_chooses_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_WEIGHTS_DIR", str(folder))
    assert available("baseline") == (0.0067, 0.013)
    assert load_model("baseline", 0.0067)[1].lmbda == 0.0067


def test_a_finetuned_arm_holds_only_what_was_retrained(folder: Path) -> None:
    state = finetuned(folder)
    path = write_weights(
        folder,
        state,
        network=NETWORK,
        variant="finetuned",
        lmbda=0.013,
        settings={},
        provenance={},
        base=("baseline", 0.013),
    )
    base_bytes = (folder / "baseline/0.013.safetensors").stat().st_size
    assert path.stat().st_size < 0.5 * base_bytes
    network, info = load_model("finetuned", 0.013, folder)
    loaded = trained_state(network)
    base = trained_state(load_model("baseline", 0.013, folder)[0])
    assert info.base == "baseline/0.013.safetensors"
    for name in loaded:
        if name.startswith("g_s."):
            torch.testing.assert_close(loaded[name], state[name], rtol=0, atol=2e-6)  # float16 of 1e-3
            assert not torch.equal(loaded[name], base[name])
        else:
            assert torch.equal(loaded[name], base[name]), name


def test_models_differ_in_identity_if_and_only_if_they_differ(folder: Path) -> None:
    first, second = (load_model("baseline", lmbda, folder)[1].sha256 for lmbda in (0.0067, 0.013))
    assert first == second  # the same numbers
    write_weights(folder, finetuned(folder), variant="other", lmbda=0.013, **PLAIN)
    assert load_model("other", 0.013, folder)[1].sha256 != first


def test_new_settings_leave_the_model_as_it_is(folder: Path) -> None:
    before = load_model("baseline", 0.013, folder)[1]
    update_settings(
        folder, "baseline", 0.013, {"tcq8": CalibratedSettings({0.013: QuantizerSettings(0.7, 0.1)})}
    )
    after = load_model("baseline", 0.013, folder)[1]
    assert after.settings == SETTINGS | {"tcq8": CalibratedSettings({0.013: QuantizerSettings(0.7, 0.1)})}
    assert after.sha256 == before.sha256


def test_a_missing_model_says_which_exist(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights for lmbda 0.1; there are: 0.0067, 0.013"):
        load_model("baseline", 0.1, folder)
    with pytest.raises(WeightsError, match="variants with weights: baseline"):
        load_model("finetuned", 0.013, folder)
    with pytest.raises(WeightsError, match="variants with weights: none"):
        load_model("baseline", 0.013, folder / "nothing")


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "missing"])
def test_a_damaged_file_is_named_with_both_hashes(folder: Path, damage: str) -> None:
    path = folder / "baseline/0.013.safetensors"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"flip": bytes(data), "truncate": bytes(data[:-7]), "empty": b""}[damage])
    expected = next(e["sha256"] for e in read_manifest(folder) if e["lmbda"] == 0.013)
    message = "is missing" if damage == "missing" else f"damaged: sha256 .*, expected {expected}"
    with pytest.raises(WeightsError, match=message) as caught:
        load_model("baseline", 0.013, folder)
    assert str(path) in str(caught.value)


def test_differences_from_another_base_are_refused(folder: Path) -> None:
    base = ("baseline", 0.013)
    write_weights(
        folder,
        finetuned(folder),
        network=NETWORK,
        variant="tuned",
        lmbda=0.013,
        settings={},
        provenance={},
        base=base,
    )
    replaced = write_weights(folder / "x", state_of(9), variant="baseline", lmbda=0.013, **PLAIN)
    shutil.copy(replaced, folder / "baseline")
    with pytest.raises(WeightsError, match=r"the tensors' sha256 is .* or its base baseline/0\.013"):
        load_model("tuned", 0.013, folder)


def test_a_base_is_not_overwritten_while_others_hold_differences_from_it(folder: Path) -> None:
    base = ("baseline", 0.013)
    write_weights(
        folder,
        finetuned(folder),
        network=NETWORK,
        variant="tuned",
        lmbda=0.013,
        settings={},
        provenance={},
        base=base,
    )
    with pytest.raises(
        WeightsError, match=r"is the base of tuned/0\.013\.safetensors, which hold differences"
    ):
        write_weights(folder, state_of(9), variant="baseline", lmbda=0.013, **PLAIN)
    load_model("tuned", 0.013, folder)
    write_weights(
        folder,
        state_of(1),
        network=NETWORK,
        variant="baseline",
        lmbda=0.013,
        settings={},
        provenance={"again": 1},
    )
    load_model("tuned", 0.013, folder)  # the same numbers with another provenance
    write_weights(folder, state_of(9), variant="baseline", lmbda=0.0067, **PLAIN)


def test_differences_are_not_stacked(folder: Path) -> None:
    base = ("baseline", 0.013)
    write_weights(
        folder,
        finetuned(folder),
        network=NETWORK,
        variant="tuned",
        lmbda=0.013,
        settings={},
        provenance={},
        base=base,
    )
    with pytest.raises(WeightsError, match=r"holds differences itself; the base must be baseline/0\.013"):
        write_weights(
            folder,
            state_of(3),
            network=NETWORK,
            variant="more",
            lmbda=0.013,
            settings={},
            provenance={},
            base=("tuned", 0.013),
        )


def test_processes_that_add_to_one_folder_lose_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3]); import test_weights as t\n"
        "state = t.state_of(1)\n"
        "for n in range(1, 11): t.write_weights(Path(sys.argv[1]), state, variant=sys.argv[2], "
        "lmbda=n / 100, **t.PLAIN)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, tmp_path, variant, Path(__file__).parent])
        for variant in ("a", "b")
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    assert len(read_manifest(tmp_path)) == len(list(tmp_path.rglob("*.safetensors"))) == 20


def test_a_broken_manifest_is_named(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps({"files": [{"variant": "baseline"}]}))
    with pytest.raises(WeightsError, match=r"manifest\.json is damaged"):
        available("baseline", folder)


def test_each_rate_keeps_its_own_settings(folder: Path) -> None:
    path = update_settings(
        folder, "baseline", 0.013, {"tcq8": CalibratedSettings({0.1: QuantizerSettings(0.5)})}
    )
    known = read_weights(path, folder)[1].settings["tcq8"]
    assert (known.at(0.0131), known.at(0.08)) == (QuantizerSettings(0.61, 0.08), QuantizerSettings(0.5))
    assert CalibratedSettings.from_json(known.to_json(), 1.0) == known
    assert str(known) == "(0.61, 0.08)(0.5, 0)"
    for broken in ([], [{"lmbda": 0.0, "delta": 1.0}], [{"delta": 1.0}], 3, [{"lmbda": 1.0, "delta": 0.0}]):
        with pytest.raises((TypeError, KeyError, UsageError)):
            CalibratedSettings.from_json(broken, 1.0)


def test_a_folder_that_calls_its_variants_arms_is_read_and_renewed(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"variant"', '"arm"'))
    assert available("baseline", folder) == (0.0067, 0.013)
    update_settings(
        folder, "baseline", 0.013, {"tcq8": CalibratedSettings({0.013: QuantizerSettings(0.5, 0.2)})}
    )
    assert '"arm"' not in manifest.read_text()
    _, info = load_model("baseline", 0.013, folder)
    assert (info.variant, info.settings["tcq8"].at(0.013)) == ("baseline", QuantizerSettings(0.5, 0.2))


def test_weights_beyond_float16_are_refused(folder: Path) -> None:
    state = state_of(1)
    state["g_s.0.weight"] = state["g_s.0.weight"] * 1e9
    with pytest.raises(WeightsError, match=r"g_s\.0\.weight has values beyond float16"):
        write_weights(folder, state, variant="x", lmbda=0.1, **PLAIN)


def test_every_shipped_file_loads_and_is_listed() -> None:
    shipped = Path(__file__).parents[2] / "benchmark/learned/shipped"
    entries = read_manifest(shipped)
    assert {e["file"] for e in entries} == {
        str(p.relative_to(shipped)) for p in shipped.rglob("*.safetensors")
    }
    assert sum(e["bytes"] for e in entries) < 64e6
    for entry in entries:
        _, info = load_model(entry["variant"], entry["lmbda"], shipped)
        assert (info.variant, info.lmbda) == (entry["variant"], entry["lmbda"])
        assert info.provenance["course"]["steps"] > 0
