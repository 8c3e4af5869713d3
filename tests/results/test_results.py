from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.errors import StoreError
from benchmark.results import store as results
from benchmark.results.store import JOURNAL, SCHEMA, TABLE, Record, Store, read_results, set_aside

ROW = Record("s", "d", 2, 2, "jpeg", "jpeg", "{}", 5.0, "a.png", "0" * 64, "ok", bpp=1.5, width=3)


def row(number: int, **changes: Any) -> Record:  # noqa: ANN401
    return replace(ROW, image=f"{number}.png", **changes)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    odd = replace(ROW, image="quote\" ' new\nline ünï.png", error="a\nb\u2028c", status="failed", bpp=None)
    with Store(tmp_path / "new" / "s") as store:
        store.append([ROW, odd])
    frame = read_results(tmp_path / "new" / "s")
    assert list(frame.columns) == SCHEMA.names
    for index, record in enumerate([ROW, odd]):
        for name, value in record.row().items():
            found = frame[name][index]
            assert found == value or (value is None and pd.isna(found)), name


def test_pandas_reads_the_folder_even_with_kept_files_beside(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([ROW])
        (tmp_path / "_kept" / "jpeg").mkdir(parents=True)
        (tmp_path / "_kept" / "jpeg" / "a.bin").write_bytes(b"no parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path), read_results(tmp_path))
    assert (
        pq.read_schema(tmp_path / TABLE).metadata[b"bench_schema_version"].decode() == results.SCHEMA_VERSION
    )


def test_an_empty_store_is_readable(tmp_path: Path) -> None:
    with Store(tmp_path):
        pass
    assert pd.read_parquet(tmp_path).empty
    assert list(read_results(tmp_path).columns) == SCHEMA.names


def test_rows_are_readable_while_the_store_is_open(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([row(1)])
        assert list(read_results(tmp_path)["image"]) == ["1.png"]


def test_the_row_measured_last_counts(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([row(1, bpp=1.0), row(2, bpp=2.0)])
    with Store(tmp_path) as store:
        store.append([row(1, bpp=3.0)])
        store.append([row(1, bpp=4.0)])
        assert dict(store.rows(["image", "bpp"])) == {"2.png": 2.0, "1.png": 4.0}  # type: ignore[arg-type]
    assert sorted(zip(*read_results(tmp_path)[["image", "bpp"]].to_numpy().T, strict=True)) == [
        ("1.png", 4.0),
        ("2.png", 2.0),
    ]


def test_chosen_columns_as_categories_hold_the_same_rows(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([row(1, bpp=1.0), row(2, bpp=2.0)])
    with Store(tmp_path) as store:
        store.append([row(1, bpp=4.0, codec_version="later")])  # in the journal still: the slot must be known
        chosen = ["bpp", "codec_version", "error", "started_at"]
        lean = read_results(tmp_path, chosen, words_as_categories=True)
        assert list(lean.columns) == chosen
        assert isinstance(lean["codec_version"].dtype, pd.CategoricalDtype)
        assert not isinstance(lean["started_at"].dtype, pd.CategoricalDtype)
        whole = read_results(tmp_path)[chosen]
        assert lean.astype(whole.dtypes.to_dict()).equals(whole)
    assert read_results(tmp_path / TABLE, ["bpp"]).columns.tolist() == ["bpp"]


def test_same_image_under_another_codec_point_or_dataset_is_another_row(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([ROW, replace(ROW, codec="x"), replace(ROW, point=6.0), replace(ROW, dataset="e")])
    assert len(read_results(tmp_path)) == 4


def test_a_torn_last_line_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    lines = b"".join(json.dumps(row(i).row()).encode() + b"\n" for i in range(3))
    for cut in (1, 100, len(lines) // 2, len(lines) - 1):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / JOURNAL).write_bytes(lines[:cut])
        whole = lines[:cut].count(b"\n")
        assert len(read_results(folder)) == whole
        with Store(folder) as store:
            assert store.notes == []
            store.append([row(9)])
        assert len(read_results(folder)) == whole + 1


def test_unreadable_lines_within_are_dropped_with_a_note(tmp_path: Path) -> None:
    good = json.dumps(ROW.row()).encode()
    (tmp_path / JOURNAL).write_bytes(bytes(50) + b"\n" + good + b"\n" + b'{"suite": 1}\n')
    with Store(tmp_path) as store:
        assert store.notes == ["2 unreadable journal lines were dropped; they are measured again"]
    assert len(read_results(tmp_path)) == 1


def test_readers_are_told_of_lines_that_no_table_can_hold(tmp_path: Path) -> None:
    good = ROW.row()
    bad: list[object] = [
        good | {"width": "many"},
        good | {"width": 2**63},
        good | {"bpp": float("nan")},
        good | {"psnr_rgb": float("inf")},
        good | {"suite": None},
        [good],
    ]
    lines = [json.dumps(row) for row in bad] + ["[" * 100_000, json.dumps(good | {"error": "caf\udce9"})]
    (tmp_path / JOURNAL).write_text("".join(f"{line}\n" for line in lines))
    told: list[str] = []
    frame = read_results(tmp_path, remark=told.append)
    assert frame["error"].tolist() == ["caf\\udce9"]
    assert len(told) == 1
    assert "7 unreadable journal lines were dropped" in told[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entropy_bits": "many"}, "column entropy_bits: 'many' is no number"),
        ({"encode_seconds": float("nan")}, "column encode_seconds: nan is no number"),
        ({"metrics": {"psnr_rgb": float("inf")}}, "column psnr_rgb: inf is no number"),
        ({"metrics": {"bpp": 1.0}}, "names of other columns: .*bpp"),
        ({"width": 1.5}, "column width: 1.5 is no whole number"),
        ({"codec_version": None}, "column codec_version: None is no text"),
    ],
)
def test_a_row_that_no_table_can_hold_cannot_be_made(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        row(1, **changes)


def test_rows_hold_numbers_of_python(tmp_path: Path) -> None:
    made = row(1, width=np.int64(3), bpp=np.float32(1.5), metrics={"psnr_rgb": np.float64(30)}, point=5)
    found = [made.width, made.bpp, made.metrics["psnr_rgb"], made.point]
    assert [(type(value), value) for value in found] == [(int, 3), (float, 1.5), (float, 30), (float, 5)]


@pytest.mark.parametrize(
    ("changes", "stays"),
    [
        ({}, True),
        ({"status": "timeout"}, True),
        ({"metric_versions": '{"psnr_rgb": "2"}'}, True),
        ({"codec_version": "2"}, False),
        ({"codec_options": '{"effort": 1}'}, False),
        ({"image_sha256": "1" * 64}, False),
        ({"protocol": '{"crop": 64}'}, False),
        ({"status": "ok"}, False),
    ],
)
def test_a_failure_takes_the_place_of_good_rows_of_another_identity_alone(
    changes: dict[str, Any], stays: bool, tmp_path: Path
) -> None:
    with Store(tmp_path) as store:
        store.append([row(1)])
    with Store(tmp_path) as store:
        store.append([replace(row(1, status="failed", bpp=None, run_id="later"), **changes)])
        store.append([row(2, status="failed"), row(2)])
        for columns in (None, ["run_id"]):
            frame = read_results(tmp_path, columns)
            assert frame["run_id"].tolist() == ["" if stays else "later", ""]
        assert read_results(tmp_path)["status"].tolist()[1] == "ok"


def test_a_file_system_that_numbers_files_anew_does_not_stop_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "is_at", lambda path, descriptor: False)
    with Store(tmp_path) as store:
        assert store.notes == [
            "the file system numbers files anew: a folder moved under the run goes unnoticed"
        ]
        store.append([ROW])
    assert len(read_results(tmp_path)) == 1


def test_no_flipped_bit_changes_a_value_unnoticed(tmp_path: Path) -> None:
    """Of 1,200 flipped bits, 296 did before the file had a digest, and 3 ended in a traceback."""
    chance = random.Random(1)
    with Store(tmp_path) as store:
        store.append([row(i, bpp=chance.random(), metrics={"psnr_rgb": chance.random()}) for i in range(200)])
    data, wanted = (tmp_path / TABLE).read_bytes(), read_results(tmp_path)
    refused = 0
    for bit in [*chance.sample(range(8 * len(data)), 400), *range(8 * (len(data) - 300), 8 * len(data), 5)]:
        hurt = bytearray(data)
        hurt[bit // 8] ^= 1 << bit % 8
        (tmp_path / TABLE).write_bytes(hurt)
        try:
            assert read_results(tmp_path).equals(wanted), bit
        except StoreError as error:
            assert "results.parquet: " in str(error)
            refused += 1
    assert refused > 800


def test_what_reads_parquet_finds_checksums_of_pages(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([row(i, error="x" * 1000) for i in range(9)])
    data = bytearray((tmp_path / TABLE).read_bytes())
    chunk = pq.ParquetFile(tmp_path / TABLE).metadata.row_group(0).column(SCHEMA.names.index("image"))
    data[chunk.dictionary_page_offset + chunk.total_compressed_size - 1] ^= 1
    (tmp_path / TABLE).write_bytes(data)
    with pytest.raises(OSError, match="CRC checksum"):
        pq.ParquetFile(tmp_path / TABLE, page_checksum_verification=True).read()
    with pytest.raises(StoreError, match=r"results\.parquet: is damaged: .*--fresh"):
        read_results(tmp_path)


def test_a_crash_between_merging_and_emptying_the_journal_makes_no_duplicates(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([row(1), row(2)])
        journal = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(journal)
    with Store(tmp_path):
        pass
    assert list(read_results(tmp_path)["image"]) == ["1.png", "2.png"]


KILLED_WRITER = """
import sys
from pathlib import Path
sys.path[:0] = {tests!r}
from test_results import row
from benchmark.results.store import Store
with Store(Path({folder!r})) as store:
    for number in range(100_000):
        store.append([row(number)])
        print(number, flush=True)
"""


def test_kill_9_loses_no_row_that_was_appended(tmp_path: Path) -> None:
    code = KILLED_WRITER.format(
        tests=[str(Path(__file__).parent), str(Path(__file__).parents[1])], folder=str(tmp_path)
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=root) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.3)
        os.kill(writer.pid, signal.SIGKILL)
        said = int(writer.stdout.read().split()[-1])
    with Store(tmp_path) as store:
        images = {image for (image,) in store.rows(["image"])}
    assert {f"{number}.png" for number in range(said + 1)} <= images
    assert len(images) <= said + 2
    assert len(pd.read_parquet(tmp_path)) == len(images)


def test_only_one_run_writes_and_the_other_is_told_who(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([ROW])
        with pytest.raises(StoreError, match=f"process {os.getpid()} on .* is writing here"), Store(tmp_path):
            pass
        with pytest.raises(StoreError, match="is writing here"):
            set_aside(tmp_path)
        store.append([row(1)])
    with Store(tmp_path):
        pass
    assert len(read_results(tmp_path)) == 2


def test_appending_does_not_slow_down_as_the_store_grows(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([row(i) for i in range(2_000)])
    table_bytes = (tmp_path / TABLE).read_bytes()
    with Store(tmp_path) as store:
        before = (tmp_path / JOURNAL).stat().st_size
        store.append([ROW])
        # What is written is the one line: the table is not touched.
        assert (tmp_path / JOURNAL).stat().st_size - before == len(json.dumps(ROW.row())) + 1
        assert (tmp_path / TABLE).read_bytes() == table_bytes


def test_old_results_are_moved_aside_and_not_deleted(tmp_path: Path) -> None:
    assert set_aside(tmp_path) is None
    for number in (1, 2):
        with Store(tmp_path) as store:
            store.append([row(number)])
        assert set_aside(tmp_path) == tmp_path / "_previous" / str(number)
    assert list(read_results(tmp_path / "_previous" / "1")["image"]) == ["1.png"]
    with Store(tmp_path):
        pass
    assert pd.read_parquet(tmp_path).empty


def test_more_images_at_hand_are_told_to_rows_of_a_partial_set(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([row(1, dataset_images=1, dataset_size=9), replace(ROW, dataset="e", dataset_images=1)])
        store.update_images_at_hand("d", 9, 9)
        store.update_images_at_hand("d", 3, 9)
    assert sorted(read_results(tmp_path)["dataset_images"]) == [1, 9]


def test_results_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no results"):
        read_results(tmp_path)
    with pytest.raises(StoreError, match="no such results"):
        read_results(tmp_path / "nowhere")
    (tmp_path / TABLE).write_bytes(b"no parquet")
    with pytest.raises(StoreError, match=r"results\.parquet: is no readable parquet"):
        read_results(tmp_path)
    other = SCHEMA.empty_table().replace_schema_metadata({"bench_schema_version": "99"})
    pq.write_table(other, tmp_path / TABLE)
    with pytest.raises(StoreError, match=r"schema version 99.*--fresh"):
        read_results(tmp_path)


def test_a_folder_that_cannot_be_written_is_found_before_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be written.*--out"), Store(tmp_path / "file" / "s"):
        pass
    with pytest.raises(StoreError, match="cannot be written"), Store(Path("/proc/bench")):
        pass


def test_a_full_disk_is_found_before_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MIN_FREE_BYTES", 1 << 60)
    with pytest.raises(StoreError, match="disk is full"), Store(tmp_path):
        pass
    monkeypatch.undo()
    with Store(tmp_path) as store:  # the lock was let go
        store.append([ROW])


def test_a_disk_that_fills_up_keeps_what_was_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="cannot be written"), store:
        store.append([row(1)])
        assert store._journal is not None
        store._journal.close()
        store._journal = open("/dev/full", "wb", buffering=0)  # noqa: SIM115, PTH123 (closed by the store)
        store.append([row(2)])
    assert list(read_results(tmp_path)["image"]) == ["1.png"]


def test_results_of_version_1_read_and_are_gone_on_with(tmp_path: Path) -> None:
    import harness  # not above: the writers that a test kills load this module where there is no harness

    with Store(tmp_path) as store:
        store.append([row(i, metrics={"psnr_rgb": 30.0 + i, "psnr_y": None}) for i in range(3)])
    harness.as_version_1(tmp_path / TABLE)
    old = json.loads(json.dumps(row(9).row())) | {
        "psnr_rgb": 40.0,
        "ms_ssim_rgb": None,
        "schema_version": "1",
    }
    for name in ("point_name", "codec_family"):
        del old[name]
    (tmp_path / JOURNAL).write_bytes(json.dumps(old).encode() + b"\n")
    for words_as_categories in (False, True):
        frame = read_results(tmp_path, words_as_categories=words_as_categories)
        assert frame["psnr_rgb"].tolist() == [30, 31, 32, 40]
        assert frame[["point_name", "codec_family", "psnr_yuv"]].isna().all(axis=None)
        assert set(frame["schema_version"]) == {"1"}
    with Store(tmp_path) as store:
        assert store.notes == []
        store.append([row(1, metrics={"psnr_rgb": 50.0, "vmaf": 90.0}, point_name="QP")])
    frame = read_results(tmp_path).set_index("image")
    assert frame["psnr_rgb"].to_dict() == {"0.png": 30, "1.png": 50, "2.png": 32, "9.png": 40}
    assert frame["vmaf"].dropna().to_dict() == {"1.png": 90}
    assert frame["schema_version"].to_dict() == {"0.png": "1", "1.png": "2", "2.png": "1", "9.png": "1"}
    assert pq.read_schema(tmp_path / TABLE).metadata[b"bench_schema_version"] == b"2"


def test_each_metric_that_occurs_is_a_column_and_stays_one(tmp_path: Path) -> None:
    for number, metrics in enumerate(({"psnr_rgb": 30.0}, {"of_a_package": 1.5}, {"psnr_rgb": None})):
        with Store(tmp_path) as store:
            store.append([row(number, metrics=metrics)])
    frame = read_results(tmp_path)
    assert list(frame.columns) == [*SCHEMA.names, "psnr_rgb", "of_a_package"]
    assert frame["of_a_package"].dropna().to_dict() == {1: 1.5}
    assert frame["psnr_rgb"].dropna().to_dict() == {0: 30}
    assert read_results(tmp_path, ["bpp", "of_a_package", "never_measured"]).notna().sum().tolist() == [
        3,
        1,
        0,
    ]


def test_a_table_that_is_not_of_its_version_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append([ROW])
    table = pq.read_table(tmp_path / TABLE)
    for other in (table.drop_columns(["codec"]), table.append_column("more", pa.array(["text"]))):
        pq.write_table(other, tmp_path / TABLE)
        with pytest.raises(StoreError, match=r"lacks columns .*--fresh"):
            read_results(tmp_path)
