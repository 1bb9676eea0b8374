"""Real features, and torch-fidelity's public entry point fed with them."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.datasets import load_digits

from its.metric.features import Features

Public = Callable[..., dict[str, float]]


@pytest.fixture(scope="session")
def digits() -> Features:
    """1797 scanned digits: 64 pixels in [0, 1] (three of them constant), and 10 softmax logits."""
    images, labels = load_digits(return_X_y=True)
    pixels = (images / 16).astype(np.float32)
    means = np.stack([pixels[labels == k].mean(axis=0) for k in range(10)])
    logits = -2 * ((pixels[:, None] - means) ** 2).sum(axis=2)
    return Features(pixels, logits.astype(np.float32), labels.astype(np.int64))


@pytest.fixture(scope="session")
def principal(digits: Features) -> Features:
    """The digits' 16 leading principal components: features of full rank."""
    centred = digits.features - digits.features.mean(axis=0)
    axes = np.linalg.svd(centred.astype(np.float64), full_matrices=False)[2][:16]
    return Features((centred @ axes.T).astype(np.float32), digits.logits, digits.labels)


@pytest.fixture
def take() -> Callable[[Features, np.ndarray | slice], Features]:
    """Pick images of a set by index."""
    return lambda of, rows: Features(of.features[rows], of.logits[rows], of.labels[rows])


@pytest.fixture
def synthetic() -> Callable[..., Features]:
    """Wrap bare features, or bare logits, of images that were all asked for class 0."""

    def make(features: np.ndarray | None = None, logits: np.ndarray | None = None) -> Features:
        count = len(logits if features is None else features)
        features = np.zeros((count, 1)) if features is None else features
        logits = np.zeros((count, 2)) if logits is None else logits
        labels = np.zeros(count, dtype=np.int64)
        return Features(features.astype(np.float32), logits.astype(np.float32), labels)

    return make


@pytest.fixture(scope="session")
def carried() -> str:
    """Name of a torch-fidelity extractor whose images are rows of features, then of 10 logits."""
    import torch
    import torch_fidelity

    class Carried(torch_fidelity.FeatureExtractorBase):
        def __init__(self, name: str, features_list: list[str], **_: object) -> None:
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, str]:
            return "features", "logits"

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "features"

        def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
            parts = {"features": rows[:, :-10], "logits": rows[:, -10:]}
            return tuple(parts[name] for name in self.features_list)

    torch_fidelity.register_feature_extractor("carried", Carried)
    return "carried"


@pytest.fixture(scope="session")
def torch_fidelity_public(carried: str) -> Public:
    """torch_fidelity.calculate_metrics of two sets, in float32 and without its cache."""
    import torch
    import torch_fidelity

    class Rows(torch.utils.data.Dataset[torch.Tensor]):
        def __init__(self, of: Features) -> None:
            self.rows = torch.from_numpy(np.concatenate([of.features, of.logits], axis=1))

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, index: int) -> torch.Tensor:
            return self.rows[index]

    def calculate(sample: Features, reference: Features, **choices: object) -> dict[str, float]:
        quiet = {"cuda": False, "cache": False, "verbose": False, "save_cpu_ram": True}
        inputs = {"input1": Rows(sample), "input2": Rows(reference), "feature_extractor": carried}
        return torch_fidelity.calculate_metrics(**inputs, **quiet, **choices)

    return calculate
