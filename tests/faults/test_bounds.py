"""What programs write is bounded before it is read, and what they say cannot steer a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

from running import Runs
from test_signals import SCRIPT, install_programs

ENCODER = """case "$3" in
  1) truncate -s 10M "$2"; exit;;
  2) exec yes > "$2";;
esac"""
DECODER = 'truncate -s 1500M "$2"; exit'
TOO_MUCH = {
    1: "copyenc wrote a stream of 10,485,760 bytes, more than 4 times the image",
    2: "copyenc was killed by SIGXFSZ: it wrote a file of more than 81,048,576 bytes",
    # The limit is set once the program runs: what is quicker is met when its picture is looked at.
    3: "copydec (ended with status 153; it said: File size|wrote an image of 1,572,864,000 bytes)",
}


def test_what_is_too_large_is_not_read(runs: Runs) -> None:
    runs.suite(images=1)
    install_programs(runs, ENCODER, points=list(TOO_MUCH))
    (runs.folder / "programs" / "copydec").write_text(SCRIPT.format(body=DECODER))
    runs.environment["BENCH_MAX_PIXELS"] = "10000000"
    assert runs.run().returncode == 1
    errors = runs.rows().set_index("point")["error"]
    for point, message in TOO_MUCH.items():
        assert re.search(message, errors[point])
    assert list((runs.folder / "temporary").iterdir()) == []


def test_what_programs_and_exceptions_say_cannot_steer_a_terminal(runs: Runs) -> None:
    runs.suite("escape", images=1)
    install_programs(runs, "printf 'red \\033[31m \\233 title \\033]0;x\\007'; exit 3", keep=True)
    done = runs.run()
    assert "red \\x1b[31m" in done.stderr
    assert "ValueError: \\x1b[2J\\x9b" in done.stderr
    assert not {"\x1b", "\x07", "\x9b"} & set(done.stderr + done.stdout)
    assert "\x1b" not in "".join(runs.rows()["error"])


def test_deep_samples_of_a_decoder_are_told(runs: Runs) -> None:
    runs.suite(images=1)
    install_programs(runs, "")
    script = Path(__file__).with_name("deepen.py")
    (runs.folder / "programs" / "copydec").write_text(SCRIPT.format(body=f'exec python "{script}" "$1" "$2"'))
    done = runs.run()
    assert "2 measured" in done.stdout, done.stderr
    for extra in runs.rows()["extra"]:
        assert json.loads(extra)["decoded_conversions"] == ["16 bits to 8: high byte"]
    assert runs.rows()["psnr_rgb"].isna().all()  # the same pixels: no error at all
