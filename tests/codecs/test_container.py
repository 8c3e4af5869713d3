from __future__ import annotations

import json

import numpy as np
import pytest

from benchmark.codecs import container
from benchmark.errors import BitstreamError, PointError, UsageError

IMAGE = np.random.default_rng(1).integers(0, 256, (9, 17, 3), dtype=np.uint8)


def test_the_file_knows_its_codec() -> None:
    stream = container.encode("jpeg", 90, IMAGE)
    decoded, name = container.decode(stream.pack(), None, "x.bin")
    assert name == "jpeg"
    assert decoded.shape == IMAGE.shape
    bare, _ = container.decode(stream.payload, "jpeg", "x.bin")
    assert np.array_equal(bare, decoded)


def test_what_was_not_written_by_encode_is_refused() -> None:
    wrapped = container.encode("jpeg", 90, IMAGE).pack()
    header = container.MAGIC + (200).to_bytes(4, "big")
    for data in (
        b"",
        b"\xff\xd8\xff",
        wrapped[:6],
        wrapped[:14],
        header + b"{}",
        container.MAGIC + b"\xff" * 4,
    ):
        with pytest.raises(BitstreamError, match=r"x\.bin"):
            container.decode(data, None, "x.bin")
    for content in (b"[]", b"{}", b"\xff", json.dumps({"codec": 1, "options": {}}).encode()):
        data = container.MAGIC + len(content).to_bytes(4, "big") + content
        with pytest.raises(BitstreamError, match="header is damaged"):
            container.decode(data, None, "x.bin")


def test_a_damaged_payload_is_named() -> None:
    wrapped = container.encode("jpeg", 90, IMAGE).pack()
    with pytest.raises(BitstreamError, match=r"x\.bin"):
        container.decode(wrapped[:-100], None, "x.bin")
    with pytest.raises(BitstreamError, match=r"x\.bin"):
        container.decode(b"", "jpeg", "x.bin")


def test_wrong_requests_say_what_there_is() -> None:
    with pytest.raises(PointError):
        container.encode("jpeg", 1000, IMAGE)
    with pytest.raises(UsageError, match="did you mean 'jpeg'"):
        container.encode("jpg", 50, IMAGE)
    with pytest.raises(UsageError, match="omit --codec"):
        container.decode(container.encode("jpeg", 90, IMAGE).pack(), "jpeg", "x.bin")
