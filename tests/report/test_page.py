"""The page in a real browser: headless Chromium loads the report of a real run."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from report_small_run import EVIL, SmallRun

from benchmark.report.figures.rd import rd_window
from benchmark.report.page.html import MAX_PAGE_BYTES, embedded_json

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Debian's chromium and chromium-driver"),
]
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--window-size=1280,1000",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    os.environ["SE_OFFLINE"] = "true"
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Chrome, small_run: SmallRun) -> Chrome:
    browser.get((small_run.report / "index.html").as_uri())
    return browser


def ask(page: Chrome, expression: str) -> Any:  # noqa: ANN401 (whatever JavaScript returns)
    return page.execute_script(f"return {expression}")


def cells(page: Chrome, host: str) -> list[list[str]]:
    rows = f"[...document.querySelectorAll('#{host} tbody tr')]"
    return list(ask(page, f"{rows}.map(r => [...r.children].map(c => c.textContent))"))


def shown(value: float, digits: int = 2) -> str:
    """A signed number as the page prints it."""
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else ("\u2212" if value < 0 else "+") + text


def draw_events(page: Chrome) -> None:
    """Let ResizeObservers and image loads happen."""
    page.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
class TestInBrowser:
    pytestmark = needs_browser

    @pytest.fixture(autouse=True)
    def as_seen(self, browser: Chrome, page: Chrome, width: int, dark: bool) -> Iterator[None]:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        draw_events(page)
        yield
        assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []
        assert ask(page, "document.documentElement.scrollWidth") <= width

    def test_numbers_equal_the_tidy_parquet(self, page: Chrome, small_run: SmallRun) -> None:
        tidy = pd.read_parquet(small_run.report / "tables" / "report.parquet")
        page.execute_script("byId('bd-details').click()")
        rows = cells(page, "bd")
        held = tidy[(tidy["kind"] == "bd") & (tidy["metric"] == "psnr_rgb") & (tidy["anchor"] == "jpeg")]
        assert {row[0] for row in rows} == set(held["codec"]) == {EVIL, "webp"}
        for row in rows:
            figures = held[held["codec"] == row[0]].set_index("figure")
            headline, mean = figures.loc["bd_rate_headline"], figures.loc["bd_rate_of_mean_curves"]
            assert row[1] == f"{shown(headline['value'])} %"
            assert row[2] == f"[{shown(headline['low'])}, {shown(headline['high'])}]"
            assert row[5] == f"{shown(mean['value'])} % [{shown(mean['low'])}, {shown(mean['high'])}]"
            assert row[10] == f"{shown(figures.loc['bd_quality_of_mean_curves', 'value'], 3)} dB"

    def test_hover_shows_the_mean_of_the_rows(self, page: Chrome, small_run: SmallRun) -> None:
        rows = small_run.frame[(small_run.frame["codec"] == "jpeg") & (small_run.frame["point"] == 10)]
        page.execute_script(
            "const i = rdChart.series.findIndex(s => s.name === 'jpeg');"
            "const p = rdChart.series[i].points[0]; const box = rdChart.svg.getBoundingClientRect();"
            "const clientX = box.left + rdChart.scale.x(p.x) * box.width / rdChart.scale.width;"
            "const clientY = box.top + rdChart.scale.y(p.y);"
            "rdChart.svg.dispatchEvent(new PointerEvent('pointermove', {clientX, clientY}))"
        )
        tip = "[...document.querySelectorAll('#rd .tip:not([hidden]) *')]"
        lines = ask(page, f"{tip}.map(e => e.textContent)")
        assert lines == [
            "jpeg",
            "mean of 4 images",
            "quality 10",
            f"{rows['bpp'].mean():.4f} bpp",
            f"PSNR {rows['psnr_rgb'].mean():.3f} dB",
        ]

    def test_legend_toggles(self, page: Chrome) -> None:
        key = "[...document.querySelectorAll('#legend .toggle')].find(k => k.textContent.endsWith('webp'))"
        curves = "document.querySelectorAll('#rd .curve').length"
        before = ask(page, curves)
        assert ask(page, f"{key}.getAttribute('aria-pressed')") == "true"
        page.execute_script(f"{key}.click()")
        assert ask(page, curves) == before - 1
        assert ask(page, f"{key}.getAttribute('aria-pressed')") == "false"
        page.execute_script(f"{key}.click()")
        assert ask(page, curves) == before
        page.execute_script("document.querySelectorAll('#legend .only')[0].click()")
        assert ask(page, curves) == 1
        page.execute_script("document.querySelectorAll('#legend .set')[1].click()")
        assert ask(page, curves) == 0
        page.execute_script("document.querySelectorAll('#legend .set')[0].click()")
        assert ask(page, curves) == before

    def test_the_page_opens_with_the_ranges_of_the_pictures_and_fits_what_is_left(
        self, page: Chrome, small_run: SmallRun
    ) -> None:
        window = rd_window(small_run.summary, "psnr_rgb")
        assert ask(page, "rdChart.home.x") == pytest.approx(window.rate)
        assert ask(page, "rdChart.home.y") == pytest.approx(window.quality, abs=0.05)
        page.execute_script(
            "[...document.querySelectorAll('#legend .only')].find(b => b.ariaLabel === 'only jpeg').click()"
        )
        jpeg = small_run.summary.curves["psnr_rgb"]["jpeg"]
        assert ask(page, "rdChart.home.x") == pytest.approx([0, 1.04 * jpeg.rates.max()])
        low, high = ask(page, "rdChart.home.y")
        pad = 0.04 * np.ptp(jpeg.qualities)
        assert [low, high] == pytest.approx([jpeg.qualities.min() - pad, jpeg.qualities.max() + pad])

    def test_a_view_is_in_the_address(self, page: Chrome, small_run: SmallRun) -> None:
        for key, value in (("metric", "ms_ssim_rgb"), ("anchor", "webp"), ("image", "image 2.png")):
            change = f"byId('{key}').dispatchEvent(new Event('change'))"
            page.execute_script(f"byId('{key}').value = '{value}'; {change}")
        page.execute_script("document.querySelectorAll('#legend .toggle')[0].click(); byId('log').click()")
        seen = "[state.metric, state.anchor, state.image, [...state.hidden].sort(), state.log]"
        before, address = ask(page, seen), page.current_url
        page.get("about:blank")
        page.get(address)
        assert ask(page, seen) == before
        assert ask(page, "[byId('metric').value, byId('image').value]") == ["ms_ssim_rgb", "image 2.png"]
        page.execute_script("location.hash = '#metric=nonsense&off=nobody'")
        page.execute_async_script("setTimeout(arguments[0], 50)")
        assert ask(page, "[state.metric, state.image, state.hidden.size]") == ["psnr_rgb", "", 0]

    def test_with_an_image_the_headline_speaks_of_it(self, page: Chrome, small_run: SmallRun) -> None:
        page.execute_script("choose('image 2.png', false)")
        rates = {
            c.codec: c.per_image.table.set_index("image")["bd_rate_percent"]["image 2.png"]
            for c in small_run.summary.against("psnr_rgb")
            if c.per_image is not None
        }
        best = min(rates, key=lambda codec: rates[codec])
        said = ask(page, "byId('headline').textContent")
        assert said.startswith("On image 2.png alone ")
        assert f"{best} needs {abs(rates[best]):.1f} % {'fewer' if rates[best] < 0 else 'more'} bits" in said

    def test_points_are_matched_by_rate_and_by_quality(self, page: Chrome, small_run: SmallRun) -> None:
        for key, value in (("match-a", "webp"), ("match-b", "jpeg")):
            page.execute_script(f"byId('{key}').value = '{value}'")
        webp, jpeg = (small_run.summary.curves["psnr_rgb"][name] for name in ("webp", "jpeg"))
        for by, ours, theirs in (
            ("rate", np.log(webp.rates), np.log(jpeg.rates)),
            ("quality", webp.qualities, jpeg.qualities),
        ):
            page.execute_script(f"byId('match-by').value = '{by}'; drawMatching()")
            nearest = [int(np.abs(theirs - value).argmin()) for value in ours]
            expected = [
                [
                    f"{webp.rates[i] / jpeg.rates[n]:.3f}",
                    f"{shown(webp.qualities[i] - jpeg.qualities[n], 3)} dB",
                ]
                for i, n in enumerate(nearest)
            ]
            assert [row[6:] for row in cells(page, "match")] == expected

    def test_names_are_whole_and_times_on_screen(self, page: Chrome, width: int) -> None:
        names = "[...document.querySelectorAll('#strip .name')]"
        boxes = ask(page, f"{names}.map(n => [n.textContent, n.getBBox().x])")
        assert {EVIL, "webp"} == {name for name, _ in boxes}
        assert all(x >= 0 for _, x in boxes)
        if width >= 1280:
            assert ask(page, "(s => s.scrollWidth <= s.clientWidth)(document.querySelector('#bd .scroll'))")

    def test_metric_and_anchor_switch(self, page: Chrome, small_run: SmallRun) -> None:
        for key, value in (("metric", "ms_ssim_rgb"), ("anchor", "webp")):
            change = f"byId('{key}').dispatchEvent(new Event('change'))"
            page.execute_script(f"byId('{key}').value = '{value}'; {change}")
        expected = {c.codec: c.headline_rate.value for c in small_run.summary.against("ms_ssim_rgb", "webp")}
        found = {row[0]: row[1] for row in cells(page, "bd")}
        assert found == {codec: f"{shown(value)} %" for codec, value in expected.items() if value}
        assert "webp" in ask(page, "document.querySelector('#bd caption').textContent")

    def test_table_sorts(self, page: Chrome) -> None:
        page.execute_script("document.querySelectorAll('#images thead button')[2].click()")
        ascending = [row[2] for row in cells(page, "images")]
        values = [float(text.replace("\u2212", "-").removesuffix(" %")) for text in ascending]
        assert len(values) == 4
        assert values == sorted(values)
        page.execute_script("document.querySelectorAll('#images thead button')[2].click()")
        assert [row[2] for row in cells(page, "images")] == ascending[::-1]

    def test_an_image_opens_its_own_numbers(self, page: Chrome, small_run: SmallRun) -> None:
        links = "[...document.querySelectorAll('#images .open')]"
        page.execute_script(f"{links}.find(b => b.textContent === 'image 2.png').click()")
        assert ask(page, "byId('detail').hidden") is False
        page.execute_script("document.querySelector('#points .more')?.click()")
        rows = small_run.frame[small_run.frame["image"] == "image 2.png"]
        found = {(row[0], row[1].split()[1]): row[2:5] for row in cells(page, "points")}
        assert len(found) == len(rows)
        for row in rows.itertuples():
            expected = [f"{row.bpp:.4f}", f"{row.psnr_rgb:.3f}", f"{row.ms_ssim_rgb:.5f}"]
            got = found[row.codec, f"{row.point:g}"]
            assert np.allclose([float(t) for t in got], [float(t) for t in expected], atol=1.01e-4)

    def test_arrow_keys_walk_the_points(self, page: Chrome) -> None:
        page.execute_script(
            "rdChart.svg.focus(); for (const key of ['ArrowRight', 'ArrowRight', 'ArrowUp'])"
            " rdChart.svg.dispatchEvent(new KeyboardEvent('keydown', {key}))"
        )
        assert ask(page, "rdChart.picked") == [1, 1]
        said = ask(page, "document.querySelector('#rd [aria-live]').textContent")
        assert said.startswith(ask(page, "rdChart.series[1].name") + ", mean of 4 images, quality 30")

    def test_viewer(self, page: Chrome) -> None:
        page.execute_script("byId('viewer-split').value = 25")
        page.execute_script("byId('viewer-split').dispatchEvent(new Event('input'))")
        clip = ask(page, "document.querySelectorAll('.frame.split .layer')[1].style.clipPath")
        assert clip == "inset(0px 0px 0px 25%)"
        loaded = (
            "const done = arguments[0]; Promise.all([...document.querySelectorAll('#viewer-stage img')]"
            ".map(i => i.decode())).then(() => done('ok'), e => done(String(e)))"
        )
        assert page.execute_async_script(loaded) == "ok"
        for mode, panes in (("flicker", 1), ("panes", 3), ("error", 2)):
            page.execute_script(f"document.querySelector('input[value={mode}]').click()")
            assert ask(page, "document.querySelectorAll('#viewer-stage .pane').length") == panes
        assert page.execute_async_script(loaded) == "ok"
        page.execute_script("byId('viewer-in').click()")
        sheets = "[...document.querySelectorAll('.sheet')]"
        shifts = ask(page, f"[...new Set({sheets}.map(s => s.style.transform))]")
        assert len(shifts) == 1, "all panes share one zoom and one centre"

    def test_names_from_data_stay_text(self, page: Chrome) -> None:
        assert EVIL in ask(page, "document.body.innerText")
        scripts = ask(page, "[...document.scripts].map(s => s.textContent.slice(0, 12))")
        assert len(scripts) == 2
        assert not any(text.startswith("alert") for text in scripts)


def test_page_stands_alone(small_run: SmallRun) -> None:
    page = (small_run.report / "index.html").read_text(encoding="utf-8")
    assert len(page.encode()) < MAX_PAGE_BYTES
    fetched = re.findall(r"(?:src|href)=\"([^\"]*)\"", page)
    assert fetched
    assert all(re.fullmatch(r"plots/[\w-]+\.(pdf|svg|png)", url) for url in fetched)
    assert EVIL not in page


def test_embedded_json_cannot_end_its_script() -> None:
    data = {"name": "</script><!-- \u2028 & é"}
    text = embedded_json(data)
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == data
    with pytest.raises(ValueError, match="JSON"):
        embedded_json({"value": float("nan")})
