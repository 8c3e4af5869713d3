"""Makes the two pictures of the README: the figure for papers and the page, of the results of record.

    python docs/pictures.py

needs Debian's chromium and chromium-driver, and selenium (the extra `dev`).
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

DOCS = Path(__file__).parent
WIDTH, HEIGHT = 1280, 1010
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    f"--window-size={WIDTH},{HEIGHT}",
)


def report(out: str, *options: str) -> None:
    """Make a report of the results of record."""
    command = [sys.executable, "-m", "benchmark", "report", "kodak", "--results", "results/reference"]
    subprocess.run([*command, "--out", out, *options], check=True, cwd=DOCS.parent)


def page_picture(page: Path) -> Image.Image:
    """Return the first screen of the page."""
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in FLAGS:
        options.add_argument(flag)
    with Chrome(options=options, service=Service(str(shutil.which("chromedriver")))) as browser:
        browser.get(page.as_uri())
        return Image.open(io.BytesIO(browser.get_screenshot_as_png()))


def save_small(picture: Image.Image, name: str, width: int) -> None:
    """Save a picture of this width."""
    height = round(picture.height * width / picture.width)
    small = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    small.save(DOCS / name, optimize=True)


def main() -> None:
    """Make both pictures."""
    with tempfile.TemporaryDirectory() as folder:
        report(folder, "--preset", "paper", "--format", "png")
        save_small(Image.open(Path(folder) / "plots" / "rd-paper.png"), "rd.png", 1200)
        report(folder, "--format", "html")
        save_small(page_picture(Path(folder) / "index.html"), "page.png", 960)


if __name__ == "__main__":
    main()
