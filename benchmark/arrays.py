"""The array types of the house: one name, one element type; the shape is said where one is used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Intp = NDArray[np.intp]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
Bools = NDArray[np.bool_]

Image = U8
"""An 8-bit RGB image, shape (height, width, 3), C-contiguous."""
