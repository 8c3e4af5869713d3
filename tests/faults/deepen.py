"""Write a PPM file of 8 bits anew, its samples widened to 16."""

import sys
from pathlib import Path

header, size, depth, samples = Path(sys.argv[1]).read_bytes().split(b"\n", 3)
wide = bytes(byte for sample in samples for byte in (sample, sample))
Path(sys.argv[2]).write_bytes(b"\n".join((header, size, b"65535", wide)))
