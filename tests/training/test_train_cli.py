"""The commands, end to end: train, calibrate, finetune, and the codecs that come of it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmark.cli import build_app
from benchmark.errors import BenchError
from benchmark.images import load_image
from benchmark.learned.architectures.loading import trained_state
from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior
from benchmark.learned.codec import LearnedCodec
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.weights import load_model
from benchmark.results.store import read_results

TINY = Path(__file__).parent / "tiny.toml"
TINY_FINETUNE = Path(__file__).parent / "tiny_finetune.toml"


def bench(*arguments: str | Path) -> str:
    result = CliRunner().invoke(build_app(), [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.mark.slow
def test_from_photographs_to_a_finetuned_codec(photographs: Path, tmp_path: Path) -> None:
    weights, data = tmp_path / "weights", ("--data", photographs)
    shown = bench(
        "train", "--recipe", TINY, *data, "--out", tmp_path / "a", "--weights", weights, "--threads", "1"
    )
    assert f"weights: {weights}/baseline/0.01.safetensors" in shown.replace("\n", "")
    assert "step 12 of 12; loss " in shown  # off a terminal: lines, not a bar
    assert "; hold-out cost " in shown
    assert (tmp_path / "a" / "loss.png").is_file()

    shown = bench(
        "calibrate", "baseline", *data, "--weights", weights, "--quantizer", "tcq8", "--threads", "1"
    )
    calibrated = load_model("baseline", 0.01, weights)[1].settings["tcq8"]
    assert f"delta {calibrated.at(0.01).delta:g}" in shown
    assert calibrated.at(0.01) != get_quantizer("tcq8").default_settings()

    start = ("--from", weights / "baseline/0.01.safetensors")
    bench(
        *(
            "finetune",
            *start,
            *data,
            "--recipe",
            TINY_FINETUNE,
            "--quantizer",
            "tcq8",
            "--parts",
            "g_s",
            "--steps",
            "2",
        ),
        *("--out", tmp_path / "b", "--weights", weights, "--variant", "finetuned-tcq", "--threads", "1"),
    )
    assert load_model("finetuned-tcq", 0.01, weights)[1].settings["tcq8"] == calibrated

    image = load_image(next(photographs.iterdir())).pixels
    streams = []
    for variant in ("baseline", "finetuned-tcq"):
        codec = LearnedCodec(f"{variant}-tcq8", variant=variant, quantizer="tcq8", weights=weights)
        streams.append(codec.encode(image, 0.01))
        decoded = codec.decode(streams[-1])
        assert decoded.shape == image.shape
        assert 10 * np.log10(65025 / np.square(decoded.astype(float) - image).mean()) > 15
    assert len(streams[0]) == len(streams[1])  # g_s alone was retrained: the same bits


@pytest.mark.slow
def test_a_codec_of_ones_own_is_imported_finetuned_and_measured(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of docs/training.md, on CompressAI's own network with the names of its first releases."""
    torch.manual_seed(3)
    state = {f"module.{k}": v for k, v in trained_state(MeanScaleHyperprior(6, 10)).items()}
    state = {
        re.sub(r"bottleneck\.(?=matrices|biases|factors)", "bottleneck._", k): v for k, v in state.items()
    }
    torch.save(state, tmp_path / "my.pth.tar")
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_text(TINY_FINETUNE.read_text().replace("lmbda = 0.01\n", ""))
    bench("import", "my.pth.tar", "--from-lmbda", "0.0067", "--weights", "W", "--variant", "mine")
    bench("calibrate", "mine", "--data", photographs, "--weights", "W", "--quantizer", "tcq8")
    bench(
        *("finetune", "--from", "W/mine/0.0067.safetensors", "--quantizer", "tcq8", "--parts", "g_s"),
        *("--recipe", "recipe.toml", "--steps", "2", "--data", photographs, "--out", "runs/mine"),
        *("--weights", "W", "--variant", "mine-tcq"),
    )
    documented = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    suite = re.search(r"```toml\n(name = \"mine\".*?)```", documented, re.DOTALL)
    assert suite is not None
    Path("mine.toml").write_text(suite[1].replace('"kodak"', f'"folder:{photographs}"'))
    bench("run", "suite", "mine.toml", "--image", "0.png")
    rows = read_results(Path("results/mine")).set_index("codec")
    assert set(rows["status"]) == {"ok"}
    assert set(rows.index) == {"mine", "mine-tcq8", "mine-tcq8-finetuned"}
    assert rows.loc["mine-tcq8", "bitstream_bytes"] == rows.loc["mine-tcq8-finetuned", "bitstream_bytes"]
    assert rows.loc["mine-tcq8", "decoded_sha256"] != rows.loc["mine-tcq8-finetuned", "decoded_sha256"]
    assert rows["bitstream_sha256"].nunique() == 3


def test_refusals_say_the_remedy(photographs: Path, tmp_path: Path) -> None:
    data = ("--data", photographs, "--out", tmp_path / "out")
    with pytest.raises(BenchError, match="--device tpu: not usable here; give cpu"):
        bench("train", "--recipe", TINY, *data, "--device", "tpu")
    with pytest.raises(BenchError, match="known are compressai:mbt2018-mean:1 to :8"):
        bench("finetune", "--from", "compressai:mbt2018-mean:0", *data)
    with pytest.raises(BenchError, match="no weights for variant 'nothing'"):
        bench("calibrate", "nothing", "--data", photographs, "--weights", tmp_path)
    with pytest.raises(BenchError, match="did you mean 'baseline'"):
        bench("train", "--recipe", "baselines", *data)
    assert not (tmp_path / "out").exists()
