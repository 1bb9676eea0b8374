"""Decoder and verifier calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from its.engine.pool import Pool
from its.engine.queue import Queue, pad
from its.engine.state import Value
from its.model.denoiser import Decoder
from its.verifier.verifier import Verifier, members_of


class Decode(Queue[Value]):
    """Latents to images, each value once."""

    def __init__(self, decoder: Decoder, pool: Pool, images: Pool, rows: int,
                 decoded: Callable[[Value], None]) -> None:
        super().__init__(rows)
        self._decoder = decoder
        self._pool = pool
        self._images = images
        self._decoded = decoded

    def run(self) -> None:
        values = self.batch()
        images = self._decoder(self._pool.take(pad([value.slot for value in values], self.rows)))
        for value, slot in zip(values, self._images.put(images[: len(values)]), strict=True):
            value.decoded = slot
            self._decoded(value)


class Verify(Queue[Value]):
    """Images or decoded guesses to rewards, by the verifier of one role."""

    def __init__(self, role: str, verifier: Verifier, images: Pool, rows: int) -> None:
        super().__init__(rows)
        self.role = role
        self._verifier = verifier
        self._members = members_of(verifier)
        self._images = images

    def run(self) -> tuple[list[Value], Tensor]:
        """Serve one batch; return its values and their rewards, `[n]` or `[n, members]`, still on the device."""
        values = self.batch()
        images = self._images.take(pad([value.decoded for value in values], self.rows))
        conditions: Sequence = pad([value.task.image.problem.condition for value in values], self.rows)
        rewards = self._verifier.reward(images, conditions)
        expected = (self.rows, len(self._members)) if self._members else (self.rows,)
        if rewards.shape != expected:
            raise RuntimeError(f"verifier {type(self._verifier).__name__} returned rewards of shape "
                               f"{tuple(rewards.shape)} for {self.rows} images; it returns one for each, in order, of "
                               f"shape {expected}")
        return values, rewards[: len(values)]
