"""What machines still find in a decoded image, as a share of the source's: codes, features, edges.

No network and no weights: the readers and detectors are those of zxing-cpp and scikit-image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmark.arrays import F64, Bools, Image
from benchmark.metrics.base import Metric, MetricUndefined
from benchmark.metrics.libraries import check_side, requires, version_with

READER, DETECTORS = "zxing-cpp", "scikit-image"
_KEYPOINTS = 500
_NEAR_PIXELS = 3.0
"""How far a matched feature may have moved."""
_MIN_SIDE = 64
_LUMA = np.array([0.2126, 0.7152, 0.0722]) / 255


def codes_read(reference: Image, decoded: Image) -> float:
    """Return the share of the reference's bar and QR codes that are read, with equal text, from the other.

    Both are uint8 [height, width, 3]. Raises MetricUndefined where the reference holds none.
    """
    wanted, found = _codes(reference), _codes(decoded)
    if not wanted:
        raise MetricUndefined("no code is read from the source")
    return len(wanted & found) / len(wanted)


def _codes(image: Image) -> set[tuple[str, str]]:
    import zxingcpp

    return {(str(code.format), code.text) for code in zxingcpp.read_barcodes(np.ascontiguousarray(image))}


def orb_matches(reference: Image, decoded: Image) -> float:
    """Return the share of the reference's ORB features that are matched at their place in the other image.

    Both are uint8 [height, width, 3]. Of up to 500 features each, those that are each other's nearest by
    Hamming distance and at most 3 pixels apart, over those that the reference matches in itself. Raises
    MetricUndefined where it has none.
    """
    check_side("ORB", reference, _MIN_SIDE)
    own = _features(reference)
    most = 0 if own is None else _matched(own, own)
    if own is None or most == 0:
        raise MetricUndefined("the source has no ORB features")
    other = _features(decoded)
    return 0.0 if other is None else min(1.0, _matched(own, other) / most)


Features = tuple[F64, Bools]


def _features(image: Image) -> Features | None:
    """Return places [n, 2] and descriptors [n, 256] of ORB features; None where there are none."""
    from skimage.feature import ORB

    make: Any = ORB
    detector = make(n_keypoints=_KEYPOINTS)
    try:
        detector.detect_and_extract(image @ _LUMA)
    except RuntimeError:  # how it says that there are none
        return None
    return detector.keypoints, detector.descriptors


def _matched(one: Features, other: Features) -> int:
    from skimage.feature import match_descriptors

    match: Any = match_descriptors
    pairs = match(one[1], other[1], metric="hamming", cross_check=True)
    moved = np.linalg.norm(one[0][pairs[:, 0]] - other[0][pairs[:, 1]], axis=1)
    return int((moved <= _NEAR_PIXELS).sum())


def edge_f1(reference: Image, decoded: Image) -> float:
    """Return the F1 score of the other image's Canny edges against the reference's, 1 pixel of tolerance.

    Both are uint8 [height, width, 3]. Raises MetricUndefined where the reference has no edges.
    """
    wanted, found = _edges(reference), _edges(decoded)
    if not wanted.any():
        raise MetricUndefined("the source has no edges")
    if not found.any():
        return 0.0
    precision, recall = _share(found, wanted), _share(wanted, found)
    return 2 * precision * recall / max(precision + recall, 1e-12)


def _edges(image: Image) -> Bools:
    from skimage.feature import canny

    detect: Any = canny
    edges: Bools = detect(image @ _LUMA, sigma=1.5)
    return edges


def _share(edges: Bools, others: Bools) -> float:
    """Return the share of the edge pixels that have one of the others' at most a pixel away."""
    from scipy.ndimage import binary_dilation

    near = binary_dilation(others, np.ones((3, 3), bool))
    return float((edges & near).sum() / edges.sum())


CODES_READ = Metric(
    name="codes_read",
    version=version_with("1", READER),
    unit="1",
    summary="share of the source's bar and QR codes that are still read (zxing-cpp)",
    label="Codes read",
    short="Codes read",
    function=codes_read,
    in_steps=True,
    check=requires(READER),
)

ORB_MATCHES = Metric(
    name="orb_matches",
    version=version_with("1", DETECTORS),
    unit="1",
    summary="share of the source's ORB features that are matched at their place (scikit-image)",
    label="ORB matches",
    short="ORB",
    function=orb_matches,
    in_steps=True,
)
"""Rublee, Rabaud, Konolige and Bradski, "ORB: an efficient alternative to SIFT or SURF", ICCV 2011."""

EDGE_F1 = Metric(
    name="edge_f1",
    version=version_with("1", DETECTORS),
    unit="1",
    summary="F1 score of Canny edges against the source's, 1 pixel of tolerance (scikit-image)",
    label="Edge F1",
    short="Edge F1",
    function=edge_f1,
    in_steps=True,
)
"""Canny, "A computational approach to edge detection", IEEE Trans. PAMI 8(6), 1986."""
