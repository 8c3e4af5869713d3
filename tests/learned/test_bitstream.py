"""The container: round trip, size, and refusal of every kind of damage."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import BitstreamError
from benchmark.learned.coding.bitstream import CodedImage, Header, pack, stored_float, unpack
from benchmark.learned.quantizers import QUANTIZERS

HEADER = Header(bytes(range(4)), 768, 512, "tcq8", stored_float(0.65))
EXAMPLE = CodedImage(HEADER, b"hyper", b"latents")


def resealed(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


@given(
    st.binary(min_size=4, max_size=4),
    st.integers(1, 65535),
    st.integers(1, 2048),
    st.sampled_from(QUANTIZERS.names()),
    st.floats(2.0**-10, 2.0**10, width=32),
    st.binary(max_size=300),
    st.binary(max_size=300),
)
def test_round_trip(  # noqa: PLR0917
    model_id: bytes, width: int, height: int, quantizer: str, delta: float, hyper: bytes, latent: bytes
) -> None:
    container = CodedImage(Header(model_id, width, height, quantizer, delta), hyper, latent)
    assert unpack(pack(container)) == container


def test_overhead_on_a_kodak_image_is_23_bytes() -> None:
    container = CodedImage(HEADER, bytes(1000), bytes(30000))
    assert len(pack(container)) - 31000 == 23


def test_the_layout_is_the_documented_one() -> None:
    expected = b"bLC\x02" + bytes(range(4)) + b"\x04" + struct.pack("<f", 0.65) + b"\x80\x06\x80\x04\x05"
    assert pack(EXAMPLE) == resealed(expected + b"hyperlatents")


@pytest.mark.parametrize("length", range(len(pack(EXAMPLE))))
def test_every_truncation_is_refused(length: int) -> None:
    with pytest.raises(BitstreamError):
        unpack(pack(EXAMPLE)[:length])


@pytest.mark.parametrize("lmbda", [None, stored_float(0.013)])
def test_a_header_that_is_cut_behind_a_right_checksum_is_refused(lmbda: float | None) -> None:
    data = pack(CodedImage(Header(bytes(range(4)), 768, 512, "tcq8", 1.0, lmbda), b"hyper", b""))
    for length in range(len(data) - 4 - len(b"hyper")):
        with pytest.raises(BitstreamError):
            unpack(resealed(data[:length]))


def test_every_flipped_bit_is_refused() -> None:
    data = pack(EXAMPLE)
    for bit in range(8 * len(data)):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            unpack(bytes(altered))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"bLC\x01" + pack(EXAMPLE)[4:-4], "version 1"),
        (pack(EXAMPLE)[:8] + b"\x63" + pack(EXAMPLE)[9:-4], "quantizer 99"),
        (pack(EXAMPLE)[:9] + struct.pack("<f", float("nan")) + pack(EXAMPLE)[13:-4], "step of nan"),
        (pack(EXAMPLE)[:9] + struct.pack("<f", -1.0) + pack(EXAMPLE)[13:-4], "step of -1"),
        (pack(EXAMPLE)[:13] + b"\0\x80\x04\x05hyperlatents", "0x512 pixels"),
        (pack(EXAMPLE)[:13] + b"\xff\xff\xff\xff\x0f\xff\xff\xff\xff\x0f\x05hyper", "4294967295x4294967295"),
        (pack(EXAMPLE)[:13] + b"\xff\xff\x03\xff\xff\x03\x05hyperlatents", "65535x65535 pixels"),
        (pack(EXAMPLE)[:13] + b"\xff\xff\xff\xff\xff\xff\xff\x7f\x05hyperlat", "width in the header"),
        (pack(EXAMPLE)[:13] + b"\x81\0\x01\x05hyperlatents", "width in the header"),
        (pack(EXAMPLE)[:13] + b"\x01\x01\xff\xff\xff\x7fhyperlatents", "cannot be in"),
    ],
)
def test_headers_out_of_range_are_refused_without_allocating(body: bytes, reason: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BitstreamError, match=reason):
            unpack(resealed(body))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [b"", b"b", b"bLC\x01", b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(64)])
def test_bytes_that_are_no_stream_are_refused(data: bytes) -> None:
    with pytest.raises(BitstreamError, match="no stream of a learned codec"):
        unpack(data)
