"""The Inception network of published FIDs (Szegedy et al. 2015, the graph of 2015-12-05), by torch-fidelity."""

from __future__ import annotations

import io
import os
import pickle
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from its.metric.extractor import Extractor, hash_of, padded_batches
from its.metric.inception_classes import logits_of_classes
from its.pixels import from_uint8
from its.weights import Device, Weights

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
NAMES = ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth")
"""Names of the file in torch's hub cache: pytorch-fid's and torch-fidelity's."""

VARIABLE = "ITS_INCEPTION"
"""Environment variable with the path of the file."""

SPATIAL_CHANNELS = 7
WIDTHS = MappingProxyType({"moments": 2048, "spatial": 17 * 17 * SPATIAL_CHANNELS})
LAYERS = {"2048": "features", "logits_unbiased": "logits"}


class InceptionFeatures(Extractor):
    """An extractor of pooled features (2048) and logits without the bias (1008), and more by choice.

    Args:
        weights: path of the network's file; None takes that of the environment variable `ITS_INCEPTION`, else torch's
            hub cache.
        spatial: whether to extract sFID's features too: the first 7 channels of mixed_6 at 17 x 17 places (2,023
            numbers, places first, as in OpenAI's files).
        classifier: a held-out classifier for accuracy, images in [-1, 1] `[n, C, H, W]` to logits `[n, classes]`;
            None leaves accuracy out.
        rows: images of one batch; every batch has this shape, so that features do not depend on grouping.

    Raises:
        ValueError: there is no file, or it does not hold this network.
    """

    fingerprint: str
    rows: int
    widths = WIDTHS

    def __init__(
        self,
        weights: Weights | None = None,
        spatial: bool = False,
        classifier: Any = None,
        rows: int = 64,
        device: Device = "cpu",
    ) -> None:
        # Read the file, and refuse one that is not what its name says.
        path = find_weights(weights)
        content = path.read_bytes()
        digest = sha256(content)
        if path.name in NAMES and digest.hexdigest() != SHA256:
            raise ValueError(
                f"{path} is not the file that its name says (sha256 {digest.hexdigest()[:16]}…); get it "
                f"again from {URL}"
            )

        # Name what decides the features.
        self.fingerprint = digest.hexdigest()
        parts = ["inception", self.fingerprint[:8]] + ["spatial"] * spatial
        self.name = "-".join(parts if classifier is None else [*parts, hash_of(classifier)[:8]])
        self.offers = frozenset(
            {"features", "logits"}
            | ({"spatial"} if spatial else set())
            | ({"classes"} if classifier is not None else set())
        )

        # Load the network; a hook collects the spatial features.
        self.rows, self._device = rows, torch.device(device)
        self._network = load_network(content, str(path)).to(self._device)
        self._classifier = classifier
        self._spatial: list[Tensor] = []
        if spatial:
            self._network.Mixed_6d.register_forward_hook(self._collect)

    @property
    def imagenet(self) -> tuple[int, ...] | None:
        """For each class of ImageNet the number of its logit; None of a network that is not the published one."""
        return logits_of_classes() if self.fingerprint == SHA256 else None

    @classmethod
    def fetch(cls, weights: str | None = None, **settings: object) -> None:
        """Download the file into torch's hub cache if none is there or named, for scripts/prefetch.py."""
        cache = hub_cache()
        if not (weights or os.environ.get(VARIABLE) or any((cache / name).is_file() for name in NAMES)):
            cache.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL, str(cache / NAMES[1]), hash_prefix=SHA256, progress=False)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        parts: dict[str, list[np.ndarray]] = defaultdict(list)
        for padded, count in padded_batches(images, self.rows):
            with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                for name, array in self._batch(torch.from_numpy(padded).to(self._device)).items():
                    parts[name].append(array[:count].float().cpu().numpy())
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}

    def _batch(self, images: Tensor) -> dict[str, Tensor]:
        colour = images.movedim(-1, 1)
        arrays = dict(zip(LAYERS.values(), self._network(colour.expand(-1, 3, -1, -1)), strict=True))
        if self._spatial:
            arrays["spatial"] = self._spatial.pop()
        if self._classifier is not None:
            arrays["classes"] = self._classifier(from_uint8(images))
        return arrays

    def _collect(self, module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._spatial.append(output[:, :SPATIAL_CHANNELS].movedim(1, -1).flatten(1))


def find_weights(weights: str | None) -> Path:
    """Find the file of the Inception network: `weights`, else $ITS_INCEPTION, else in torch's hub cache.

    Raises:
        ValueError: there is none.
    """
    # Take the file that is named.
    named = weights or os.environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ValueError(
                f"there are no Inception weights at {path.absolute()}; correct dataset.report.weights or {VARIABLE}"
            )
        return path

    # Look for it in torch's cache.
    cache = hub_cache()
    for name in NAMES:
        if (cache / name).is_file():
            return cache / name
    raise ValueError(
        f"there are no Inception weights in {cache}; where there is a network, run once: python "
        f'scripts/prefetch.py with the words of this run, or python -c "import torch; '
        f"torch.hub.load_state_dict_from_url('{URL}')\", or set {VARIABLE} to its path"
    )


def hub_cache() -> Path:
    """Return torch's folder of weights downloaded by address; the variable TORCH_HOME moves it."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def load_network(content: bytes, source: str) -> Any:
    """Make torch-fidelity's network with the weights in `content`, the bytes of a file that torch has saved.

    Args:
        source: name of the file, for messages.

    Raises:
        ValueError: it holds anything but tensors, or not those of this network.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, ValueError) as error:
        raise ValueError(f"{source} does not hold weights alone ({str(error).splitlines()[0]}); take {URL}") from error

    # torch-fidelity opens its file with pickles allowed, so it gets one made here of tensors alone.
    file = io.BytesIO()
    torch.save(tensors, file)
    file.seek(0)
    try:
        return FeatureExtractorInceptionV3("inception-v3-compat", list(LAYERS), feature_extractor_weights_path=file)
    except RuntimeError as error:
        raise ValueError(
            f"{source} does not fit the Inception network: {' '.join(str(error).split())[:300]}; take {URL}"
        ) from error
