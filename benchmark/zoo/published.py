"""The weights that CompressAI publishes, where there is a network connection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor

from benchmark.errors import UsageError, WeightsError, did_you_mean
from benchmark.files import locked
from benchmark.torchvision_stub import make_compressai_importable
from benchmark.zoo.architectures import find_architecture
from benchmark.zoo.model_codec import RATES


def addresses(arch: str, metric: str) -> Mapping[float, str]:
    """Return the address of each quality of an architecture; one file for all rates of a variable-rate one.

    Raises UsageError for an architecture or a metric for which CompressAI publishes nothing.
    """
    make_compressai_importable()
    from compressai.zoo import image, image_vbr

    known = {**image.model_urls, **image_vbr.model_urls}
    if arch not in known:
        raise UsageError(f"CompressAI publishes no weights of arch {arch!r}; {did_you_mean(arch, known)}")
    if metric not in known[arch]:
        raise UsageError(f"metric {metric!r}: published for {arch} are {', '.join(known[arch])}")
    found = known[arch][metric]
    if isinstance(found, str):
        return {float(rate): found for rate in range(RATES)}
    return {float(quality): str(url) for quality, url in found.items()}


def published_form(arch: str, quality: int) -> Mapping[str, Tensor]:
    """Return tensors of the shapes that CompressAI publishes for a quality of an architecture, untrained."""
    make_compressai_importable()
    from compressai.zoo import image, image_vbr

    sizes = {**image.cfgs, **image_vbr.cfgs}[arch][quality]
    model = find_architecture(arch)(*sizes)
    return model.state_dict()


def sha256_in(address: str) -> str:
    """Return the first 8 digits of the file's sha256, which CompressAI's file names end in."""
    return address.rpartition("/")[2].partition(".")[0].rpartition("-")[2]


def fetched(address: str) -> Path:
    """Return the file of that address in torch's cache, downloaded if it is not there, its hash checked.

    Raises WeightsError, with the way round, where it cannot be fetched.
    """
    name = address.rpartition("/")[2]
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with locked(file.with_name(f"{name}.lock")):
        if not file.is_file():
            _download(address, file)
    return file


def _download(address: str, file: Path) -> None:
    try:
        torch.hub.download_url_to_file(address, str(file), hash_prefix=sha256_in(address), progress=False)
    except (URLError, OSError, RuntimeError) as error:
        raise WeightsError(
            f"{address} cannot be fetched ({error}); download it where there is a network connection, give "
            f"the file: checkpoints.QUALITY={file.name}, without the option metric"
        ) from error
