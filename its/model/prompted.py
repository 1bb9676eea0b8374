"""Networks of latents that are given a prompt, as a `Denoiser`: text, guidance and the places of the networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from its.levels import Columns, Guess
from its.model.classifier_free import Rescale
from its.model.clipping import Clipping
from its.model.denoiser import ClassifierFreeDenoiser, Decoder, Prediction, guess_from
from its.model.text_cache import Text, TextCache
from its.sampler.noise_paths import NoisePath
from its.types import Condition

NO_PROMPT = 0
"""Place of the negative prompt in the table of a batch, under guidance."""

SKIPPED = "skipped"
"""Name, beside what a network is given of prompts, of the rows `[n]` in which it skips layers, where it does so."""


class TextNetwork(Protocol):
    """A network as a family gives it."""

    def __call__(self, x: Tensor, time: Tensor, text: Any, /) -> Tensor:
        """Return the prediction `[n, *shape]` of rows, at native times `[n]`, of texts with a first dimension n."""
        ...


class Places:
    """The device that networks are brought to as they are called, the first time or, by turns, each time.

    Args:
        by_turns: the network that was there before goes back to the CPU's memory.
    """

    def __init__(self, device: torch.device | str, *, by_turns: bool = False) -> None:
        self.device = torch.device(device)
        self._by_turns = by_turns
        self._here: list[nn.Module] = []

    def bring(self, network: nn.Module) -> None:
        """Bring a network to the device, if it is not there."""
        if any(network is each for each in self._here):
            return
        if self._by_turns:
            self.clear()
        with torch.inference_mode(False):  # of what is moved in that mode no gradient could be taken later
            self._here.append(network.to(self.device))

    def clear(self) -> None:
        """Take every network back to the CPU's memory: room for what is needed on the device in their place."""
        with torch.inference_mode(False):
            while self._here:
                self._here.pop().to("cpu")


class PlacedDecoder:
    """A decoder that is brought to the device as it is called."""

    def __init__(self, decoder: Any, places: Places) -> None:
        self.shape: tuple[int, ...] = decoder.shape
        self._decoder = decoder
        self._places = places

    def __call__(self, latents: Tensor) -> Tensor:
        self._places.bring(self._decoder)
        return self._decoder(latents)


class PromptDenoiser(ClassifierFreeDenoiser):
    """A network whose conditions are prompts.

    Args:
        network: see `TextNetwork`; as `its.model.run_as.run_as` returns it.
        module: the network's weights, which `places` brings to the device.
        prediction, shape: see `its.model.denoiser.NetworkDenoiser`.
        negative_prompt: what guidance leads away from; None is an encoding of zeros.
        negative_texts: its encoding; None is by `texts`.
        guidance_scale, guidance_interval: see `its.model.denoiser.NetworkDenoiser`.
        rescale, skip_scale, skip_interval: see `its.model.denoiser.ClassifierFreeDenoiser`; with an interval the
            network is told `SKIPPED`.
    """

    dtype = torch.float32
    clipping = Clipping()

    def __init__(
        self,
        network: TextNetwork,
        module: nn.Module,
        path: NoisePath,
        prediction: Prediction,
        shape: tuple[int, ...],
        texts: TextCache,
        places: Places,
        *,
        negative_prompt: str | None = "",
        negative_texts: TextCache | None = None,
        guidance_scale: float = 1.0,
        guidance_interval: Sequence[float] | None = None,
        rescale: Rescale | None = None,
        skip_scale: float = 0.0,
        skip_interval: Sequence[float] | None = None,
        decoder: Decoder,
    ) -> None:
        super().__init__(
            path,
            guidance_scale,
            guidance_interval,
            NO_PROMPT,
            conditional=True,
            rescale=rescale,
            skip_scale=skip_scale,
            skip_interval=skip_interval,
        )
        self.network = network
        self.module = module
        self.prediction: Prediction = prediction
        self.shape = shape
        self.decoder = decoder
        self.device = places.device
        self._texts = texts
        self._places = places
        self._negative = negative_prompt
        self._negative_texts = negative_texts or texts
        self._table: tuple[tuple[str, ...], Text] = ((), {})

    def prepare(self, conditions: Iterable[Condition]) -> None:
        """Encode prompts, each once, before rows of them are evaluated."""
        prompts = [*map(prompt_of, conditions)]
        negative = [self._negative] if self.slots > 1 and self._negative is not None else []
        if self._negative_texts is self._texts:
            self._texts.prepare([*negative, *prompts])
        else:
            self._negative_texts.prepare(negative)
            self._texts.prepare(prompts)

    def __call__(self, x: Tensor, levels: Columns, conditions: Sequence[Condition]) -> Guess:
        prompts = [prompt_of(condition) for condition in conditions]
        distinct = tuple(dict.fromkeys(prompts))
        table, place_of = self._encoded(distinct), {prompt: place for place, prompt in self._places_of(distinct)}
        label = torch.tensor([place_of[prompt] for prompt in prompts]).to(self.device, non_blocking=True)

        def network(rows: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
            assert label is not None, "each row has a prompt"
            if self.skip_interval is None:
                return self.network(rows, time, {name: value[label] for name, value in table.items()})
            places = torch.where(label < 0, ~label, label)
            text = {name: value[places] for name, value in table.items()}
            return self.network(rows, time, text | {SKIPPED: label < 0})

        self._places.bring(self.module)
        output = self.evaluated(network, levels.scale.to(x) * x, levels.time.flatten(), label, levels)
        return guess_from(self.prediction, output, x, levels)

    def _encoded(self, prompts: tuple[str, ...]) -> Text:
        """Return encodings, stacked, behind that of the negative prompt under guidance.

        Those of the last call are at hand, for steps follow each other.
        """
        before, table = self._table
        if before != prompts:
            at_hand = {prompt: {name: rows[k] for name, rows in table.items()} for k, prompt in self._places_of(before)}
            texts = [at_hand.get(prompt) or self._texts(prompt) for prompt in prompts]
            if self.slots > 1:
                negative = {name: rows[NO_PROMPT] for name, rows in table.items()}
                texts.insert(NO_PROMPT, negative or self._negative_text(like=texts[0]))
            self._table = prompts, {name: torch.stack([text[name] for text in texts]) for name in texts[0]}
        return self._table[1]

    def _places_of(self, prompts: tuple[str, ...]) -> Iterable[tuple[int, str]]:
        """Return prompts with their places in a table, where the first is the negative prompt's under guidance."""
        return enumerate(prompts, NO_PROMPT + 1 if self.slots > 1 else 0)

    def _negative_text(self, like: Text) -> Text:
        if self._negative is None:
            return {name: torch.zeros_like(value) for name, value in like.items()}
        return self._negative_texts(self._negative)


def prompt_of(condition: Condition) -> str:
    """Return a condition that is a prompt.

    Raises:
        ValueError: it is a class or nothing.
    """
    if not isinstance(condition, str):
        raise ValueError(
            f"this model makes images of prompts, and the dataset asks for {condition!r}; choose a dataset of prompts, "
            "such as dataset=drawbench"
        )
    return condition
