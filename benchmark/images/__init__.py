"""8-bit RGB images in and out, whatever the file, and the colour planes."""

from benchmark.images.colour import luma_chroma, rgb_to_ycbcr, ycbcr_to_rgb
from benchmark.images.load import LoadedImage, check_file_size, decode_image, load_image, quiet, read_bytes
from benchmark.images.opening import FORMATS, MAX_PIXELS, check_pixels, open_checked, pixel_limit
from benchmark.images.pixels import centre_crop, check_image, save_png

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "LoadedImage",
    "centre_crop",
    "check_file_size",
    "check_image",
    "check_pixels",
    "decode_image",
    "load_image",
    "luma_chroma",
    "open_checked",
    "pixel_limit",
    "quiet",
    "read_bytes",
    "rgb_to_ycbcr",
    "save_png",
    "ycbcr_to_rgb",
]
