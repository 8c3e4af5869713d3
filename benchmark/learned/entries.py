"""The learned codecs of the registry: which weights, and which quantizer, at the field's four lambdas."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.codecs.base import CodecEntry

_LMBDAS = (0.0035, 0.0067, 0.013, 0.025)


def _learned(summary: str, **options: object) -> CodecEntry:
    target = "benchmark.learned.codec:LearnedCodec"
    return CodecEntry(target, summary, "lmbda", _LMBDAS, options, family="learned")


ENTRIES: Mapping[str, CodecEntry] = {
    "baseline": _learned(
        "mean-scale hyperprior, uniform scalar quantization", arm="baseline", quantizer="scalar"
    ),
    "baseline-rdoq": _learned(
        "baseline weights, rate-distortion-optimized scalar quantization", arm="baseline", quantizer="rdoq"
    ),
    "baseline-tcq4": _learned(
        "baseline weights, trellis-coded quantization, 4 states", arm="baseline", quantizer="tcq4"
    ),
    "baseline-tcq8": _learned(
        "baseline weights, trellis-coded quantization, 8 states", arm="baseline", quantizer="tcq8"
    ),
    "baseline-rdoq-expanded": _learned(
        "baseline-rdoq with points moved from zero, as decoders trained with noise want them",
        arm="baseline",
        quantizer="rdoq-expanded",
    ),
    "baseline-tcq8-expanded": _learned(
        "baseline-tcq8 with points moved from zero, as decoders trained with noise want them",
        arm="baseline",
        quantizer="tcq8-expanded",
    ),
    "continued": _learned(
        "the control: finetuned-scalar's decoder, as many steps of ordinary training instead",
        arm="continued",
        quantizer="scalar",
    ),
    "finetuned-scalar": _learned(
        "decoder finetuned on truly rounded latents, uniform scalar quantization",
        arm="finetuned-scalar",
        quantizer="scalar",
    ),
    "finetuned-rdoq": _learned(
        "decoder finetuned on latents of rate-distortion-optimized scalar quantization",
        arm="finetuned-rdoq",
        quantizer="rdoq",
    ),
    "finetuned-tcq4": _learned(
        "decoder finetuned on trellis-coded latents, 4 states",
        arm="finetuned-tcq4",
        quantizer="tcq4",
    ),
    "finetuned-tcq": _learned(
        "decoder and hyper decoder finetuned on trellis-coded latents, 8 states",
        arm="finetuned-tcq",
        quantizer="tcq8",
    ),
    "finetuned-tcq-expanded": _learned(
        "decoder finetuned on the latents of baseline-tcq8-expanded",
        arm="finetuned-tcq-expanded",
        quantizer="tcq8-expanded",
    ),
}
