"""Decoder and verifier calls, and the way of values there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from its.engine.pool import Pool
from its.engine.queue import Queue, pad
from its.engine.state import Value
from its.model.denoiser import Decoder
from its.verifier.verifier import Verifier, members_of

if TYPE_CHECKING:
    from its.engine.engine import Engine


class Decode(Queue[Value]):
    """Latents to images, each value once."""

    def __init__(self, decoder: Decoder, pool: Pool, images: Pool, rows: int, decoded: Callable[[Value], None]) -> None:
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
            raise RuntimeError(
                f"verifier {type(self._verifier).__name__} returned rewards of shape "
                f"{tuple(rewards.shape)} for {self.rows} images; it returns one for each, in order, of "
                f"shape {expected}"
            )
        return values, rewards[: len(values)]


class Scoring:
    """Where values wait for a decoder and for their verifiers.

    Args:
        pool: rows of states.

    Attributes:
        images: rows of decoded images; `pool` for pixel models.
        decode: None for pixel models.
        kinds: the queues by name, furthest downstream first.
    """

    def __init__(self, engine: Engine, pool: Pool) -> None:
        model, batch = engine.model, engine.batch
        self.images = pool
        self.decode: Decode | None = None
        if model.decoder is not None:
            self.images = Pool(model.decoder.shape, model.dtype, model.device, batch)
            self.decode = Decode(model.decoder, pool, self.images, batch, self.known)
        self._verify = {role: Verify(role, verifier, self.images, batch) for role, verifier in engine.verifiers.items()}
        decode = {} if self.decode is None else {"decode": self.decode}
        self.kinds: dict[str, Queue] = {**{f"verify {role}": queue for role, queue in self._verify.items()}, **decode}

    def score(self, value: Value, roles: Collection[str]) -> None:
        """Send a value to the verifiers of these roles, once it is there and decoded."""
        if value.slot is None:
            return
        if self.decode is None:
            value.decoded = value.slot
        elif value.decoded is None:
            if not value.decoding:
                value.decoding = True
                self.decode.add(value.task.order, value)
            return
        for role in roles:
            self._verify[role].add(value.task.order, value)

    def known(self, value: Value) -> None:
        """A value has been computed, or decoded: all who have asked for its score wait for that."""
        if value.scores:
            self.score(value, value.scores)
