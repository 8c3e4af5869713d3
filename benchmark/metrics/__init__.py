"""Metrics: each is a value in a file here and one line below, or an entry point of another package."""

from __future__ import annotations

from collections.abc import Collection

from benchmark.metrics.base import Metric
from benchmark.registry import Registry

METRICS: Registry[Metric] = Registry(
    what="metric",
    group="bench.metrics",
    form="instance of benchmark.metrics.base.Metric",
    accepts=lambda entry: isinstance(entry, Metric),
    builtin={
        "psnr_rgb": "benchmark.metrics.psnr:PSNR_RGB",
        "ms_ssim_rgb": "benchmark.metrics.ms_ssim:MS_SSIM_RGB",
        "psnr_y": "benchmark.metrics.psnr:PSNR_Y",
        "psnr_yuv": "benchmark.metrics.psnr:PSNR_YUV",
        "fsim_rgb": "benchmark.metrics.piq_indices:FSIM_RGB",
        "vif_y": "benchmark.metrics.piq_indices:VIF_Y",
        "gmsd_y": "benchmark.metrics.piq_indices:GMSD_Y",
        "haarpsi_rgb": "benchmark.metrics.piq_indices:HAARPSI_RGB",
        "iw_ssim_y": "benchmark.metrics.piq_indices:IW_SSIM_Y",
        "vmaf_y": "benchmark.metrics.vmaf:VMAF_Y",
        "psnr_hvs_y": "benchmark.metrics.psnr_hvs:PSNR_HVS_Y",
        "psnr_hvs_m_y": "benchmark.metrics.psnr_hvs:PSNR_HVS_M_Y",
        "ssimulacra2": "benchmark.metrics.ssimulacra2:SSIMULACRA2",
        "ciede2000": "benchmark.metrics.ciede2000:CIEDE2000",
        "flip_rgb": "benchmark.metrics.flip:FLIP_RGB",
        "nlpd_y": "benchmark.metrics.nlpd:NLPD_Y",
        "lpips_alex": "benchmark.metrics.perceptual:LPIPS_ALEX",
        "dists_vgg": "benchmark.metrics.perceptual:DISTS_VGG",
        "codes_read": "benchmark.metrics.machines:CODES_READ",
        "orb_matches": "benchmark.metrics.machines:ORB_MATCHES",
        "edge_f1": "benchmark.metrics.machines:EDGE_F1",
    },
    name_of=lambda metric: metric.name,
)
"""Metrics by the name that suites and columns of results have, in the order in which reports show them."""

DEFAULT = next(iter(METRICS.builtin))
"""The metric of functions and figures that show one and are not told which."""


def in_figures() -> tuple[str, ...]:
    """Return the names of the metrics that are plotted and judged where nothing else is asked."""
    return tuple(name for name, metric in METRICS.items() if metric.in_figures)


def shown(measured: Collection[str]) -> tuple[str, ...]:
    """Return the metrics to plot, judge and print where nothing else is asked, of those with values.

    They are those of figures; where none of these was measured, all that were.
    """
    known = [name for name in METRICS.names() if name in measured]
    return tuple([name for name in in_figures() if name in known] or known)
