"""Make the pictures of the dataset `machines`: codes and text on photographs that anybody may redistribute.

python tests/data/make_machines.py FOLDER

The photographs are those of scikit-image that are public domain or CC0 (its data/README.txt); codes and text
are made here. Written once: the manifest holds the hashes of what lies in benchmark/data/machines.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import skimage.data
import zxingcpp

WIDTH, HEIGHT = 480, 320
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field")
KINDS = ("QRCode", "Code128", "DataMatrix", "Code39", "Aztec", "QRCode")
MODULES = (1.7, 1.2, 2.0, 1.6, 2.3, 1.5)
"""Pixels of a module; a code that is not read at this size is made a little larger until it is."""
PLACES = ((14, 14), (120, 30), (380, 14), (14, 200), (250, 190), (390, 200))


def code(kind: str, text: str, pixels: float, dark: int, bright: int) -> PIL.Image.Image:
    """Return a code in two shades of grey, as a camera would see it: modules of no whole number of pixels."""
    barcode = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind))
    large = np.array(zxingcpp.write_barcode_to_image(barcode, scale=8, add_quiet_zones=True))
    image = PIL.Image.fromarray((dark + large * ((bright - dark) / 255)).astype(np.uint8))
    size = round(image.width * pixels / 8), min(60, round(image.height * pixels / 8))
    if kind not in ("Code128", "Code39"):
        size = size[0], size[0]
    return image.resize(size, PIL.Image.Resampling.BOX).convert("RGB")


def read(image: PIL.Image.Image) -> set[str]:
    return {found.text for found in zxingcpp.read_barcodes(np.array(image))}


def picture(number: int) -> PIL.Image.Image:
    """Return one picture: a photograph with six codes and a line of text."""
    source = PIL.Image.fromarray(getattr(skimage.data, PHOTOGRAPHS[number])()[..., :3])
    side = min(source.width / WIDTH, source.height / HEIGHT)
    image = source.crop((0, 0, round(WIDTH * side), round(HEIGHT * side)))
    image = image.resize((WIDTH, HEIGHT), PIL.Image.Resampling.LANCZOS)
    for place, (kind, pixels) in enumerate(zip(KINDS, MODULES, strict=True)):
        text = f"B{number}{place}X"
        shades = 70 - 10 * number + 8 * place, 190 + 10 * number - 6 * place
        for more in np.arange(0, 1.5, 0.1):
            tried = image.copy()
            tried.paste(code(kind, text, pixels + more, *shades), PLACES[place])
            if text in read(tried):
                break
        image = tried
    draw = PIL.ImageDraw.Draw(image)
    draw.rectangle((8, HEIGHT - 24, 240, HEIGHT - 4), fill=(240, 240, 230))
    draw.text(
        (12, HEIGHT - 22), f"Lot 00{number}7, keep below 25 °C", (20, 20, 60), PIL.ImageFont.load_default(14)
    )
    return image


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(PHOTOGRAPHS):
        picture(number).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
