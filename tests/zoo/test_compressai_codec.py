"""The codec `compressai`, on real classes of CompressAI with random weights, and real bitstreams."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import ROOT
from small_models import codec_of, picture, pixels, saved, small, tensor

from benchmark.analysis.grid import codec_grids
from benchmark.cli.options import codec_options
from benchmark.codecs import container, make_codec
from benchmark.codecs.base import collect_facts
from benchmark.errors import (
    BitstreamError,
    CodecUnavailableError,
    NeedsOptionsError,
    PointError,
    UsageError,
    WeightsError,
)
from benchmark.images import load_image, save_png
from benchmark.results.store import read_results
from benchmark.zoo.architectures import architectures

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

ARCHITECTURES = sorted(architectures())
AUTOREGRESSIVE = ("mbt2018", "cheng2020-anchor", "cheng2020-attn", "mbt2018-vbr")
HEADER = 1 + 4 + 4 + 4
"""Magic, model, checksum of the stream, checksum of the latents."""


def flat(strings: object) -> list[bytes]:
    return [strings] if isinstance(strings, bytes) else [s for part in strings for s in flat(part)]  # type: ignore[attr-defined]


def test_the_architectures_of_the_papers_are_there() -> None:
    assert {
        "bmshj2018-factorized",
        "bmshj2018-factorized-relu",
        "bmshj2018-hyperprior",
        "mbt2018-mean",
        "mbt2018",
        "cheng2020-anchor",
        "cheng2020-attn",
    } <= set(ARCHITECTURES)
    assert not {"ssf2020", "sfu2023-pcc-rec-pointnet"} & set(ARCHITECTURES)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_bytes_are_what_compress_writes_and_pixels_what_decompress_gives(arch: str, tmp_path: Path) -> None:
    codec = codec_of(arch, tmp_path)
    image = picture()
    stream = codec.encode(image, 3)

    model = small(arch)
    model.update(force=True)  # type: ignore[operator]
    rate = {"s": 3} if arch.endswith("-vbr") else {}
    with torch.no_grad():
        out = model.compress(tensor(image), **rate)  # type: ignore[operator]
        expected = model.decompress(out["strings"], out["shape"], **rate)["x_hat"]  # type: ignore[operator]
    strings = flat(out["strings"])
    assert stream.endswith(b"".join(strings))
    lengths = sum(1 if len(string) < 128 else 2 for string in strings[:-1])
    assert len(stream) - sum(map(len, strings)) == HEADER + 2 + lengths  # width and height, a byte each
    decoded = codec.decode(stream)
    np.testing.assert_array_equal(decoded, pixels(expected))
    assert len(np.unique(decoded)) > 1


@pytest.mark.parametrize("arch", [arch for arch in ARCHITECTURES if arch not in AUTOREGRESSIVE])
def test_decoding_gives_what_forward_gives(arch: str, tmp_path: Path) -> None:
    """Within half a level: `forward` computes the latents' means in another order than the decoder."""
    codec = codec_of(arch, tmp_path)
    image = picture()
    model = small(arch)
    with torch.no_grad():
        expected = model(tensor(image), **({"s": 3} if arch.endswith("-vbr") else {}))["x_hat"]
    decoded = codec.decode(codec.encode(image, 3)).astype(int)
    assert np.abs(decoded - pixels(expected)).max() <= 1


@pytest.mark.parametrize("arch", ["bmshj2018-factorized", "mbt2018-mean", "elic2022-official"])
@pytest.mark.parametrize("size", [(1, 1), (70, 65), (128, 64)])
def test_any_size_comes_back(arch: str, size: tuple[int, int], tmp_path: Path) -> None:
    codec = codec_of(arch, tmp_path)
    decoded = codec.decode(codec.encode(picture(*size), 3))
    assert decoded.shape == (size[1], size[0], 3)
    assert decoded.flags.c_contiguous


def test_another_process_decodes_the_same_pixels(tmp_path: Path) -> None:
    codec = codec_of("cheng2020-attn", tmp_path)
    stream = codec.encode(picture(), 3)
    (tmp_path / "stream").write_bytes(stream)
    program = (
        "import sys; from pathlib import Path; from benchmark.codecs import make_codec\n"
        "options = {'arch': 'cheng2020-attn', 'checkpoints': {'3': 'cheng2020-attn.pth.tar'}}\n"
        "folder = Path(sys.argv[1])\n"
        "codec = make_codec('compressai', options, folder)\n"
        "decoded = codec.decode((folder / 'stream').read_bytes())\n"
        "sys.stdout.buffer.write(decoded.tobytes())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, check=True, timeout=120
    )
    assert told.stdout == codec.decode(stream).tobytes()


def test_every_mutated_byte_is_refused(tmp_path: Path) -> None:
    codec = codec_of("mbt2018-mean", tmp_path)
    stream = codec.encode(picture(), 3)
    for place in range(len(stream)):
        damaged = bytearray(stream)
        damaged[place] ^= 1 << (place % 8)
        with pytest.raises(BitstreamError):
            codec.decode(bytes(damaged))
    for kept in range(len(stream)):
        with pytest.raises(BitstreamError):
            codec.decode(stream[:kept])
    with pytest.raises(BitstreamError):
        codec.decode(stream + b"\0")


@pytest.mark.parametrize("arch", ["mbt2018-mean", "mbt2018", "elic2022-official", "bmshj2018-factorized"])
def test_latents_that_decode_to_other_values_are_refused(arch: str, tmp_path: Path) -> None:
    """A valid stream whose strings are another image's: as if the decoder's arithmetic were another."""
    from benchmark.zoo import bitstream

    codec = codec_of(arch, tmp_path)
    stream, other = codec.encode(picture(), 3), codec.encode(255 - picture(), 3)
    count = {"bmshj2018-factorized": 1, "elic2022-official": 5}.get(arch, 2)
    held = bitstream.unpack(stream, count)
    foreign = bitstream.unpack(other, count)
    assert held.latents_crc != foreign.latents_crc
    forged = bitstream.pack(bitstream.Stream(held.model_id, None, 64, 64, held.latents_crc, foreign.strings))
    with pytest.raises(BitstreamError, match="decode to other values here"):
        codec.decode(forged)


def test_a_stream_of_another_checkpoint_is_refused(tmp_path: Path) -> None:
    codec = codec_of("mbt2018-mean", tmp_path)
    other = saved(small("mbt2018-mean", seed=1), tmp_path / "other.pth")
    stream = make_codec("compressai", {"arch": "mbt2018-mean", "checkpoints": {"3": str(other)}}).encode(
        picture(), 3
    )
    with pytest.raises(BitstreamError, match=r"was written by model [0-9a-f]{8}; here are compressai"):
        codec.decode(stream)


def test_the_point_is_found_by_the_checkpoint(tmp_path: Path) -> None:
    files = {str(q): str(saved(small("mbt2018-mean", seed=q), tmp_path / f"{q}.pth")) for q in (1, 2)}
    codec = make_codec("compressai", {"arch": "mbt2018-mean", "checkpoints": files})
    assert codec.points == (1.0, 2.0)
    streams = [codec.encode(picture(), point) for point in codec.points]
    assert streams[0] != streams[1]
    assert not np.array_equal(codec.decode(streams[0]), codec.decode(streams[1]))
    with pytest.raises(PointError, match="no weights for point 3; it has: 1, 2"):
        codec.check_point(3)


@pytest.mark.parametrize("arch", ["bmshj2018-hyperprior-vbr", "mbt2018-mean-vbr"])
@pytest.mark.parametrize("vr_entbttlnck", [False, True])
def test_a_variable_rate_model_serves_all_points_from_one_file(
    arch: str, vr_entbttlnck: bool, tmp_path: Path
) -> None:
    path = saved(small(arch, vr_entbttlnck=vr_entbttlnck), tmp_path / "vbr.pth.tar")
    codec = make_codec("compressai", {"arch": arch, "checkpoints": {"*": str(path)}})
    assert codec.points == tuple(range(8))
    sizes, errors = [], []
    for point in (0, 3.5, 7):
        stream = codec.encode(picture(), point)
        decoded = codec.decode(stream)
        sizes.append(len(stream))
        errors.append(float(np.mean((decoded.astype(float) - picture()) ** 2)))
    assert sizes == sorted(set(sizes))
    with pytest.raises(PointError):
        codec.check_point(7.5)


def test_update_is_made_anew_so_that_old_tables_in_a_checkpoint_do_not_matter(tmp_path: Path) -> None:
    model = small("mbt2018-mean")
    plain = codec_of("mbt2018-mean", tmp_path).encode(picture(), 3)
    model.update(force=True)  # type: ignore[operator]
    state = model.state_dict()
    state["gaussian_conditional._quantized_cdf"].zero_()
    torch.save(state, tmp_path / "old.pth")
    codec = make_codec(
        "compressai", {"arch": "mbt2018-mean", "checkpoints": {"3": str(tmp_path / "old.pth")}}
    )
    assert codec.encode(picture(), 3)[HEADER:] == plain[HEADER:]


def test_a_factory_makes_the_model_of_a_class_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from compressai.models import MeanScaleHyperprior\n"
        "class Mine(MeanScaleHyperprior):\n"
        "    pass\n"
        "def build(state):\n"
        "    return Mine.from_state_dict(state)\n"
    )
    saved(small("mbt2018-mean"), tmp_path / "q3.pth")
    stream = codec_of("mbt2018-mean", tmp_path).encode(picture(), 3)
    for factory in ("mine.py:build", "mine.py:Mine.from_state_dict"):
        codec = make_codec("compressai", {"factory": factory, "checkpoints": {"3": "q3.pth"}}, tmp_path)
        assert factory in codec.version()
        own = codec.encode(picture(), 3)
        assert own[HEADER:] == stream[HEADER:]
        assert codec.decode(own).shape == (64, 64, 3)


def test_an_encoder_says_how_long_its_check_of_the_latents_took(tmp_path: Path) -> None:
    with collect_facts() as facts:
        codec_of("mbt2018-mean", tmp_path).encode(picture(), 3)
    assert facts["latents_check_seconds"] > 0


def test_version_names_the_weights_of_each_point_and_of_one(tmp_path: Path) -> None:
    files = {str(q): str(saved(small("mbt2018-mean", seed=q), tmp_path / f"{q}.pth")) for q in (1, 2)}
    options = {"arch": "mbt2018-mean", "checkpoints": files}
    before = make_codec("compressai", options)
    old = [before.version_at(point) for point in (1, 2)]
    assert old[0].startswith("compressai 1.2.8, mbt2018-mean, format 1, models 1:")
    assert before.version().endswith(" ".join(version.rpartition(" ")[2] for version in old))
    saved(small("mbt2018-mean", seed=9), tmp_path / "2.pth")
    after = make_codec("compressai", options)
    assert after.version_at(1) == old[0]
    assert after.version_at(2) != old[1]


def test_without_options_it_says_what_it_needs() -> None:
    with pytest.raises(NeedsOptionsError, match=r"--option arch=mbt2018-mean --option checkpoints\.3=q3"):
        make_codec("compressai").version()
    with pytest.raises(NeedsOptionsError):
        make_codec("compressai", {"arch": "mbt2018-mean"}).check_point(3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"arch": "mbt2018-mean", "factory": "a:b"}, "give arch or factory"),
        ({"arch": "mbt2018-mean", "checkpoints": {"best": "x"}}, "'best' is no point"),
        ({"arch": "mbt2018-mean", "checkpoints": "x.pth"}, "give a table of points to files"),
        ({"arch": "mbt2018-mean", "checkpoints": {"*": "x", "1": "y"}}, "give no others"),
        ({"arch": "mbt2018-mean", "metric": "vmaf"}, "published for mbt2018-mean are mse, ms-ssim"),
        ({"arch": "elic2022-official", "metric": "mse"}, "publishes no weights of arch 'elic2022-official'"),
        ({"arch": "mbt2018-mean", "threads": 0}, "from 1 up"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_codec("compressai", options).version()


def test_what_is_not_here_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no checkpoint .*gone\.pth for point 3"):
        make_codec("compressai", {"arch": "mbt2018", "checkpoints": {"3": "gone.pth"}}).version()
    with pytest.raises(CodecUnavailableError, match="threads = 999, but"):
        codec_of("mbt2018-mean", tmp_path, threads=999).version()
    with pytest.raises(UsageError, match=r"arch 'mbt2018-meen' is no image model.*'mbt2018-mean'"):
        other = make_codec(
            "compressai",
            {"arch": "mbt2018-meen", "checkpoints": {"3": str(saved(small("mbt2018-mean"), tmp_path / "x"))}},
        )
        other.encode(picture(), 3)
    if not torch.cuda.is_available():
        with pytest.raises(
            CodecUnavailableError, match=r"device 'cuda' cannot be used: .*; give device = \"cpu\""
        ):
            codec_of("mbt2018-mean", tmp_path, device="cuda").version()


def test_published_weights_without_a_network_are_refused_with_the_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    codec = make_codec("compressai", {"arch": "mbt2018-mean", "metric": "mse"})
    assert codec.points == tuple(range(1, 9))
    with pytest.raises(
        WeightsError, match=r"mbt2018-mean-3-723404a8.pth.tar cannot be fetched .* give the file"
    ):
        codec.version_at(3)
    (tmp_path / "checkpoints").mkdir(exist_ok=True)
    saved(small("mbt2018-mean"), tmp_path / "checkpoints" / "mbt2018-mean-3-723404a8.pth.tar")
    assert codec.decode(codec.encode(picture(), 3)).shape == (64, 64, 3)


def run_bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "benchmark", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_options_on_the_command_line(tmp_path: Path) -> None:
    save_png(picture(), tmp_path / "in.png")
    saved(small("mbt2018-mean"), tmp_path / "q3.pth")
    options = ("--option", "arch=mbt2018-mean", "--option", "checkpoints.3=q3.pth")
    done = run_bench(tmp_path, "encode", "compressai", "3", "in.png", "out.bin", *options)
    assert done.returncode == 0, done.stderr
    assert "bytes of compressai" in done.stdout
    done = run_bench(tmp_path, "decode", "out.bin", "back.png")
    assert done.returncode == 0, done.stderr
    codec = codec_of("mbt2018-mean", tmp_path)
    np.testing.assert_array_equal(
        load_image(tmp_path / "back.png").pixels, codec.decode(codec.encode(picture(), 3))
    )
    done = run_bench(tmp_path, "encode", "compressai", "3", "in.png", "out.bin")
    assert done.returncode == 2
    assert "needs the options arch and checkpoints" in done.stderr
    done = run_bench(tmp_path, "encode", "compressai", "3", "in.png", "out.bin", "--option", "arch")
    assert done.returncode == 2
    assert "--option arch: give KEY=VALUE" in done.stderr


def test_options_are_read_as_toml_and_else_as_text() -> None:
    given = ["threads=2", "arch=mbt2018", "a.0.5=x/y.pth", "a.1=z", "day=2024-01-02", "on=true", 'q="7"']
    assert codec_options(given) == {
        "threads": 2,
        "arch": "mbt2018",
        "a": {"0.5": "x/y.pth", "1": "z"},
        "day": "2024-01-02",
        "on": True,
        "q": "7",
    }
    for wrong in (["arch"], ["=3"], ["a=1", "a=2"], ["a=1", "a.b=2"]):
        with pytest.raises(UsageError, match=r"give KEY=VALUE|is given twice"):
            codec_options(wrong)


def test_a_file_that_asks_to_run_code_is_refused_until_its_reader_names_the_code(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from compressai.models import MeanScaleHyperprior\nbuild = MeanScaleHyperprior.from_state_dict\n"
    )
    path = saved(small("mbt2018-mean"), tmp_path / "q3.pth")
    options = {"factory": f"{tmp_path}/mine.py:build", "checkpoints": {"3": str(path)}}
    data = container.encode("compressai", 3, picture(), options).pack()
    with pytest.raises(UsageError, match=r"file: asks to run factory = '.*mine\.py:build'; if you trust it"):
        container.decode(data, None, "file")
    image, _ = container.decode(data, None, "file", {"factory": options["factory"]})
    assert image.shape == (64, 64, 3)


SUITE = """
name = "mine"
dataset = "folder:images"
metrics = ["psnr_rgb"]
[[codec]]
name = "jpeg"
points = [50]
[[codec]]
name = "zoo"
codec = "compressai"
options = {{ arch = "mbt2018-mean", checkpoints = {{ {checkpoints} }} }}
"""


def test_one_changed_checkpoint_measures_its_own_point_anew(tmp_path: Path) -> None:
    """Paths are seen from the suite's file, and the points are the checkpoints'."""
    (tmp_path / "sub" / "images").mkdir(parents=True)
    save_png(picture(), tmp_path / "sub" / "images" / "a.png")
    for q in (1, 2):
        saved(small("mbt2018-mean", seed=q), tmp_path / "sub" / f"{q}.pth")
    suite = tmp_path / "sub" / "mine.toml"

    def measured(checkpoints: str) -> str:
        suite.write_text(SUITE.format(checkpoints=checkpoints))
        done = run_bench(tmp_path, "run", "suite", "sub/mine.toml")
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "3 measured, 0 reused, 0 failed" in measured('1 = "1.pth", 2 = "2.pth"')
    assert "nothing to do" in measured('1 = "1.pth", 2 = "2.pth"')
    saved(small("mbt2018-mean", seed=9), tmp_path / "sub" / "2.pth")
    assert "1 measured, 2 reused, 0 failed" in measured('1 = "1.pth", 2 = "2.pth"')
    (tmp_path / "sub" / "1.pth").rename(tmp_path / "sub" / "renamed.pth")
    saved(small("mbt2018-mean", seed=4), tmp_path / "sub" / "4.pth")
    out = measured('1 = "renamed.pth", 2 = "2.pth", 4 = "4.pth"')
    assert "1 measured, 3 reused, 0 failed" in out
    rows = read_results(tmp_path / "results" / "mine")
    zoo = rows[rows["codec"] == "zoo"]
    assert set(zoo["codec_options"]) == {'{"arch": "mbt2018-mean"}'}
    assert zoo["codec_version"].nunique() == 3
    grid = codec_grids(rows, "psnr_rgb", codecs=["zoo"])["zoo"]
    assert len(set(grid.variants.flat)) == 1  # points with models of their own are one curve
