"""The contract of models, `(x_t, level, condition) -> x0_hat, eps_hat`, and how a network is made into one.

An adapter is a `Network`, a prediction type and a noise path; `NetworkDenoiser` does the rest: labels, classifier-free
guidance, x0_hat and eps_hat. What a model clips is its `Clipping`, which the engine applies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from its.levels import Columns, Guess
from its.sampler.noise_paths import NoisePath
from its.sampler.sampler import Variance
from its.types import Condition

Prediction = Literal["epsilon", "v_prediction", "sample", "flow"]


class Network(Protocol):
    """A network as an adapter gives it."""

    def __call__(self, x: Tensor, time: Tensor, label: Tensor | None, /) -> Any:
        """Evaluate rows.

        Args:
            x: rows `[n, *shape]`, scaled by their levels' `scale`.
            time: native times `[n]`, float64.
            label: class ids `[n]`, int64; None if the network takes none.

        Returns:
            The prediction `[n, *shape]`, followed along the channels by as many values of a learned variance, in
            [-1, 1] (Nichol and Dhariwal 2021, arXiv:2102.09672, Eq. 15 with `v = (value + 1) / 2`), if the network
            has learned one; the exact mixture's is a `Guess`.
        """
        ...


class Decoder(Protocol):
    """A map from latents to images.

    Attributes:
        shape: event shape (C, H, W) of an image.
    """

    shape: tuple[int, ...]

    def __call__(self, latents: Tensor) -> Tensor:
        """Decode latents into images in [-1, 1], float32 `[n, C, H, W]`."""
        ...


@dataclass(frozen=True)
class Clipping:
    """The rule by which a model's guess is clipped where no guidance takes it: for plain steps and rewards of guesses.

    Attributes:
        limit: x0_hat is clamped to [-limit, limit]; None leaves it.
        rederive_eps: give eps_hat what x0_hat loses, so that `x_t = alpha x0_hat + sigma eps_hat` still holds
            (diffusers' `use_clipped_model_output`); otherwise eps_hat stays the network's.
    """

    limit: float | None = None
    rederive_eps: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None and not self.limit > 0:
            raise ValueError(f"model.clip is {self.limit}; it is above 0, or null to clip nothing")

    def __call__(self, guess: Guess, levels: Columns) -> Guess:
        """Return the guess that a step without guidance takes."""
        if self.limit is None:
            return guess
        x0 = self.clamp(guess.x0)
        if not self.rederive_eps:
            return guess._replace(x0=x0)
        return guess._replace(x0=x0, eps=guess.eps + (levels.alpha / levels.sigma).to(x0) * (guess.x0 - x0))

    def clamp(self, x0: Tensor) -> Tensor:
        """Return x0_hat as verifiers see it."""
        return x0 if self.limit is None else x0.clamp(-self.limit, self.limit)


class Denoiser(Protocol):
    """A model as the engine uses it. A class that inherits from it states only what differs from below.

    Attributes:
        shape: event shape of the state.
        dtype: of the state: float32, also when the network runs in bf16.
        path: noise path that it was trained on.
        slots: network rows of one evaluation: 2 with classifier-free guidance.
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

    def __call__(self, x: Tensor, levels: Columns, conditions: Sequence[Condition]) -> Guess:
        """Evaluate rows `x [n, *shape]`; return the network's own pair, which is not clipped."""
        ...


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


class NetworkDenoiser(Denoiser):
    """A network, its prediction type and its noise path as a `Denoiser`.

    Args:
        network: already on `device`, in eval mode and without gradients of its weights.
        path: the noise path that it was trained on.
        prediction: the type of its output; see `guess_from`.
        shape: event shape (C, H, W).
        conditional: whether it is given the conditions; otherwise every row has label `null_class`.
        null_class: label that stands for no condition; None if there is none.
        guidance_scale: of classifier-free guidance, see `ClassifierFree`; 1 is off, anything else takes two slots.
        clip, rederive_eps: see `Clipping`.
        variance: of ancestral steps, as the checkpoint was published; `learned` where the network predicts one.
        decoder: of a latent model, whose rows are never images: set `clip` to None; None for pixel models.

    Raises:
        ValueError: `guidance_scale` is not 1 and the network is not conditional or has no `null_class`; or it
            predicts noise on a path that begins with noise alone, from which no x0_hat follows; or latents are to be
            clipped.
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
        self.network = network
        self.path = path
        self.prediction: Prediction = prediction
        self.shape = shape
        self.conditional = conditional
        self.null_class = null_class
        self.guidance_scale = guidance_scale
        self.clipping = Clipping(clip, rederive_eps)
        self.variance = variance
        self.decoder = decoder
        self.device = torch.device(device)
        self.slots = slots_of(guidance_scale, null_class, conditional=conditional)

    def __call__(self, x: Tensor, levels: Columns, conditions: Sequence[Condition]) -> Guess:
        network = guided(self.network, self.guidance_scale, self.null_class)
        output = network(levels.scale.to(x) * x, levels.time.flatten(), self._labels(conditions))
        if self.variance != "learned":
            return guess_from(self.prediction, output, x, levels)
        output, variance = output.split(self.shape[0], dim=1)
        return guess_from(self.prediction, output, x, levels)._replace(share=(variance + 1) / 2)

    def _labels(self, conditions: Sequence[Condition]) -> Tensor | None:
        if not self.conditional and self.null_class is None:
            return None
        classes = conditions if self.conditional else [self.null_class] * len(conditions)
        return torch.tensor(classes, dtype=torch.int64).to(self.device, non_blocking=True)


@dataclass(frozen=True)
class ClassifierFree:
    """A network under classifier-free guidance: `uncond + scale (cond - uncond)`, both halves of one batch.

    Ho and Salimans 2022 (arXiv:2207.12598), Eq. 6 with `scale = 1 + w`.

    Attributes:
        scale: 0 is unconditional, 1 conditional.
        null_class: label that stands for no condition.
    """

    network: Network
    scale: float
    null_class: int

    def __call__(self, x: Tensor, time: Tensor, label: Tensor | None) -> Any:
        assert label is not None, "guidance needs labels"
        labels = torch.cat([label, torch.full_like(label, self.null_class)])
        output = self.network(torch.cat([x, x]), torch.cat([time, time]), labels)
        if isinstance(output, Guess):
            return Guess(self._mixed(output.x0), self._mixed(output.eps))
        colours = x.shape[1]
        mixed = self._mixed(output[:, :colours])
        # A learned variance is not guided: it is the conditional half's (Peebles and Xie 2022, arXiv:2212.09748).
        return mixed if output.shape[1] == colours else torch.cat([mixed, output[: len(x), colours:]], dim=1)

    def _mixed(self, output: Tensor) -> Tensor:
        cond, uncond = output.chunk(2)
        return uncond + self.scale * (cond - uncond)


def guided(network: Network, scale: float, null_class: int | None) -> Network:
    """Return the network under classifier-free guidance, or as it is where `scale` is 1."""
    if scale == 1.0:
        return network
    assert null_class is not None, "slots_of refuses it"
    return ClassifierFree(network, scale, null_class)


def slots_of(guidance_scale: float, null_class: int | None, *, conditional: bool) -> int:
    """Return how many network rows an evaluation takes: 2 with classifier-free guidance, else 1.

    Raises:
        ValueError: a model is to be guided that is unconditional, or has no label that stands for no condition.
    """
    if guidance_scale != 1.0 and not conditional:
        raise ValueError(
            f"model.guidance_scale is {guidance_scale} on an unconditional model; "
            "set model.conditional=true or model.guidance_scale=1"
        )
    if guidance_scale != 1.0 and null_class is None:
        raise ValueError(
            f"model.guidance_scale is {guidance_scale}, and this network has no label for no condition; "
            "set model.guidance_scale=1"
        )
    return 1 if guidance_scale == 1.0 else 2


def guess_from(prediction: Prediction, output: Tensor, x: Tensor, levels: Columns) -> Guess:
    """Derive x0_hat and eps_hat from what a network predicts at rows `x`.

    Args:
        prediction: `epsilon` and `sample` hold on any path; `v_prediction` (Salimans and Ho 2022, arXiv:2202.00512:
            v = alpha eps - sigma x_0) on VP; `flow` (v = eps - x_0) on linear flow.

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
        return Guess(x - sigma * output, x + alpha * output)
    raise ValueError(f"prediction is {prediction!r}; it is epsilon, v_prediction, sample or flow")
