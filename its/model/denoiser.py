"""The contract of models, `(x_t, level, condition) -> x0_hat, eps_hat`, and how a network is made into one.

An adapter is a `Network`, a prediction type and a noise path; `NetworkDenoiser` does the rest. The engine clips.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor

from its.levels import Columns, Guess, Level
from its.model.classifier_free import Autoguided, ClassifierFree, Network, Rescale, check_guidable
from its.model.clipping import Clipping
from its.model.slots import Slots
from its.sampler.noise_paths import NoisePath
from its.sampler.sampler import Variance
from its.types import Condition

Prediction = Literal["epsilon", "v_prediction", "sample", "flow"]


class Decoder(Protocol):
    """A map from latents to images.

    Attributes:
        shape: event shape (C, H, W) of an image.
    """

    shape: tuple[int, ...]

    def __call__(self, latents: Tensor) -> Tensor:
        """Decode latents into images in [-1, 1], float32 `[n, C, H, W]`."""
        ...


class Denoiser(Protocol):
    """A model as the engine uses it. A class that inherits from it states only what differs from below.

    Attributes:
        shape: event shape of the state.
        dtype: of the state: float32, also when the network runs in bf16.
        path: noise path that it was trained on.
        slots: network rows of one evaluation, of the dearest if they differ: 2 with classifier-free guidance.
        clipping: the rule by which its guess is clipped.
        variance: of ancestral steps, where the sampler leaves it to the checkpoint; see `its.sampler.sampler.Variance`.
        decoder: None for pixel models.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    path: NoisePath
    slots: int
    clipping: Clipping = Clipping()
    variance: Variance = "fixed_small"
    decoder: Decoder | None = None

    @property
    def fewest_slots(self) -> int:
        """Network rows of the cheapest evaluation; a call has as many for each row that it is given."""
        return self.slots

    def slots_at(self, level: Level) -> int:
        """Return the network rows of an evaluation at a level."""
        return self.slots

    def prepare(self, conditions: Iterable[Condition]) -> None:
        """Make ready what conditions need, before rows of them are evaluated; nothing, unless a model says so."""
        return None

    def __call__(self, x: Tensor, levels: Columns, conditions: Sequence[Condition]) -> Guess:
        """Evaluate rows `x [n, *shape]`; return the network's own pair, which is not clipped.

        The engine always gives as many rows as a batch has network rows, divided by `fewest_slots`, so that the network
        is always given as many. Where evaluations differ in slots, the first rows that these suffice for are evaluated;
        what is returned for those behind them is not read.
        """
        ...


def fewest_slots(model: Denoiser) -> int:
    """Return the network rows that a call has for each row that a model is given; see `Denoiser.fewest_slots`."""
    return getattr(model, "fewest_slots", model.slots)


def require_contract(model: Denoiser) -> None:
    """Refuse a model that lacks what `Denoiser` states.

    Raises:
        ValueError: naming what is missing.
    """
    missing = [name for name in Denoiser.__annotations__ if not hasattr(model, name)]
    if missing:
        raise ValueError(
            f"model {type(model).__name__} has no {', '.join(missing)}; inherit from its.Denoiser, which states what a "
            "model has, and give what it leaves open"
        )


class ClassifierFreeDenoiser(Denoiser):
    """A model of a network that may be under classifier-free guidance, always or in an interval, or autoguidance.

    Args:
        scale, guided_channels: see `ClassifierFree`; 1 is off, and None all.
        interval: see `its.model.slots.Slots`; None is always.
        null_class: label that stands for no condition; None if there is none.
        conditional: whether the network is given the conditions.
        autoguidance: the worse network that stands for no condition's; see `Autoguided`. None is classifier-free.
        rescale: see `ClassifierFree`; None leaves what is guided.
        skip_scale, skip_interval: of guidance by a network without some of its layers, and where it is on; see
            `ClassifierFree` and `its.model.slots.Slots`. None is nowhere.

    Raises:
        ValueError: there is nothing to guide by, or nothing that an interval limits, or it is none; see `Slots.of`.
    """

    def __init__(
        self,
        path: NoisePath,
        scale: float,
        interval: Sequence[float] | None,
        null_class: int | None,
        *,
        conditional: bool,
        guided_channels: int | None = None,
        autoguidance: Network | None = None,
        rescale: Rescale | None = None,
        skip_scale: float = 0.0,
        skip_interval: Sequence[float] | None = None,
    ) -> None:
        self.path = path
        self.conditional = conditional
        self._null_class = null_class
        self.guidance_scale = scale
        self.guidance_interval = interval
        self.guided_channels = guided_channels
        self.autoguidance = autoguidance
        self.skip_interval = skip_interval
        self._rescale = rescale
        self._skip_scale = skip_scale
        self._slots = Slots.of(scale, interval, path, autoguided=autoguidance is not None, skip_interval=skip_interval)
        self.slots = self._slots.most
        if autoguidance is None:
            check_guidable(scale, null_class, conditional=conditional)

    @property
    def fewest_slots(self) -> int:
        return self._slots.fewest

    def slots_at(self, level: Level) -> int:
        return self._slots.at(level)

    def evaluated(self, network: Network, x: Tensor, time: Tensor, label: Tensor | None, levels: Columns) -> Any:
        """Evaluate rows of a network, guided where they are to be; see `ClassifierFree` and `Autoguided`."""
        if self.slots == 1:
            return network(x, time, label)
        if self.autoguidance is not None:
            return Autoguided(network, self.autoguidance, self.guidance_scale, self.guided_channels)(x, time, label)
        network = ClassifierFree(
            network,
            self.guidance_scale,
            cast(int, self._null_class),
            self._slots.inside(levels),
            self.guided_channels,
            self._rescale,
            self._slots.skipped(levels),
            self._skip_scale,
        )
        return network(x, time, label)


class NetworkDenoiser(ClassifierFreeDenoiser):
    """A network, its prediction type and its noise path as a `Denoiser`.

    Args:
        network: already on `device`, in eval mode and without gradients of its weights.
        path: the noise path that it was trained on.
        prediction: the type of its output; see `guess_from`.
        shape: event shape (C, H, W).
        conditional: whether it is given the conditions; otherwise every row has label `null_class`.
        null_class: label that stands for no condition; None if there is none.
        guidance_scale: of classifier-free guidance, see `ClassifierFree`; 1 is off, anything else takes two slots.
        guidance_interval: native times (`Level.time`; sigma on EDM's path) between which guidance is on, both included:
            two slots there, one elsewhere (Kynkäänniemi et al. 2024, arXiv:2404.07724); None is always.
        guided_channels: of the state, the first that are guided; see `ClassifierFree`. None is all.
        autoguidance: the network of autoguidance, called as `network` is; see `Autoguided`. None is classifier-free.
        clip, rederive_eps: see `Clipping`.
        variance: of ancestral steps, as the checkpoint was published; `learned` where the network predicts one.
        decoder: of a latent model, whose rows are never images: set `clip` to None; None for pixel models.

    Raises:
        ValueError: `guidance_scale` is not 1 and the network is not conditional or has no `null_class`; or it is 1
            beside an interval, or that is not two ascending numbers; or the network predicts noise on a path that
            begins with noise alone, from which no x0_hat follows; or latents are to be clipped, or more channels guided
            than there are.
    """

    dtype = torch.float32

    def __init__(
        self,
        network: Network,
        path: NoisePath,
        prediction: Prediction,
        shape: tuple[int, ...],
        *,
        conditional: bool = False,
        null_class: int | None = None,
        guidance_scale: float = 1.0,
        guidance_interval: Sequence[float] | None = None,
        guided_channels: int | None = None,
        autoguidance: Network | None = None,
        clip: float | None = 1.0,
        rederive_eps: bool = False,
        variance: Variance = "fixed_small",
        decoder: Decoder | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if prediction == "epsilon" and path.noisiest.alpha == 0.0:
            raise ValueError(
                "the network predicts noise, and its noise path begins at alpha = 0, where noise says nothing of the "
                "image; give the prediction_type and the betas that it was trained with"
            )
        if decoder is not None and clip is not None:
            raise ValueError(
                f"clip is {clip} on a model with a decoder, whose latents have no range of pixels; give clip=None"
            )
        if not (guided_channels is None or guided_channels in range(1, shape[0] + 1)):
            raise ValueError(f"model.guided_channels is {guided_channels}; it is from 1 to {shape[0]}, or null")
        super().__init__(
            path,
            guidance_scale,
            guidance_interval,
            null_class,
            conditional=conditional,
            guided_channels=guided_channels,
            autoguidance=autoguidance,
        )
        self.network = network
        self.prediction: Prediction = prediction
        self.shape = shape
        self.null_class = null_class
        self.clipping = Clipping(clip, rederive_eps)
        self.variance = variance
        self.decoder = decoder
        self.device = torch.device(device)

    def __call__(self, x: Tensor, levels: Columns, conditions: Sequence[Condition]) -> Guess:
        scaled, label = levels.scale.to(x) * x, self._labels(conditions)
        output = self.evaluated(self.network, scaled, levels.time.flatten(), label, levels)
        if self.variance != "learned":
            return guess_from(self.prediction, output, x, levels)
        output, variance = output.split(self.shape[0], dim=1)
        return guess_from(self.prediction, output, x, levels)._replace(share=(variance + 1) / 2)

    def _labels(self, conditions: Sequence[Condition]) -> Tensor | None:
        if not self.conditional and self.null_class is None:
            return None
        classes = conditions if self.conditional else [self.null_class] * len(conditions)
        return torch.tensor(classes, dtype=torch.int64).to(self.device, non_blocking=True)


def guess_from(prediction: Prediction, output: Tensor, x: Tensor, levels: Columns) -> Guess:
    """Derive x0_hat and eps_hat from what a network predicts at rows `x`.

    Args:
        prediction: `epsilon` and `sample` hold on any path; `v_prediction` (Salimans and Ho 2022, arXiv:2202.00512:
            v = alpha eps - sigma x_0) on VP; `flow` (v = eps - x_0) on any path.

    Raises:
        ValueError: the output has another shape than the rows, to which it would be stretched.
    """
    if output.shape != x.shape:
        raise ValueError(f"the network makes {list(output.shape)} of rows {list(x.shape)}; it makes as many of each")
    alpha, sigma = levels.alpha.to(x), levels.sigma.to(x)
    if prediction == "epsilon":
        return Guess((x - sigma * output) / alpha, output)
    if prediction == "sample":
        return Guess(output, (x - alpha * output) / sigma)
    if prediction == "v_prediction":
        return Guess(alpha * x - sigma * output, alpha * output + sigma * x)
    if prediction == "flow":
        whole = (levels.alpha + levels.sigma).to(x)
        return Guess((x - sigma * output) / whole, (x + alpha * output) / whole)
    raise ValueError(f"prediction is {prediction!r}; it is epsilon, v_prediction, sample or flow")
