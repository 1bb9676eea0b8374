"""Decoder and verifier calls, and the way of values to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from its.engine.queue import Evaluated, Queue, Scored, Served, pad
from its.engine.rows import Rows
from its.engine.search_run import Value
from its.levels import Level
from its.model.denoiser import Clipping, Decoder, Denoiser
from its.particles.probe import Probe
from its.verifier.verifier import Verifier, judge_costs_of, probe_of, rewards_of


class Decode(Queue[Value]):
    """Latents that wait for the decoder, each value once.

    Args:
        rows: of states. images: rows of decoded images.
        clipping: of guesses.
    """

    def __init__(self, decoder: Decoder, rows: Rows, images: Rows, size: int, clipping: Clipping) -> None:
        super().__init__(size)
        self._decoder = decoder
        self._clipping = clipping
        self._rows = rows
        self._images = images

    @torch.inference_mode()
    def serve(self) -> Served:
        """Decode one batch."""
        values = self.batch()
        padded = pad(values, self.size)
        latents = clipped_guesses(self._rows.take([value.row for value in padded]), padded, self._clipping)
        images = self._decoder(latents)[: len(values)]
        for value, row in zip(values, self._images.put(images), strict=True):
            value.decoded = row
        owners = [(value.run, value.run.image.grid[-1]) for value in values]
        finite = torch.isfinite(images.flatten(1).sum(1))
        return Served(values, readbacks=[(Evaluated(type(self._decoder).__name__, owners), finite)])


class Verify(Queue[Value]):
    """Images or decoded guesses that wait for the verifier of one role, which may see an earlier guess beside each.

    Args:
        clipping: of guesses that need no decoder.
    """

    def __init__(self, role: str, verifier: Verifier, images: Rows, size: int, clipping: Clipping) -> None:
        super().__init__(size)
        self._clipping = clipping
        self._role = role
        self._verifier = verifier
        self._images = images

    @torch.inference_mode()
    def serve(self) -> Served:
        """Score one batch."""
        values = self.batch()
        padded = pad(values, self.size)
        views = [self._images_of(padded)]
        if probe_of(self._verifier) is not None:
            views.append(self._images_of([cast(Value, value.probe) for value in padded]))
        images, *guesses = views
        conditions = [value.run.image.problem.condition for value in padded]
        rewards = rewards_of(self._verifier, images, conditions, *guesses)
        n = len(values)
        costs = judge_costs_of(self._verifier, images[:n], conditions[:n])
        scored = Scored(self._role, type(self._verifier).__name__, values, costs)
        return Served(readbacks=[(scored, rewards[:n])])

    def _images_of(self, values: Sequence[Value]) -> Tensor:
        return clipped_guesses(self._images.take([value.decoded for value in values]), values, self._clipping)


def clipped_guesses(x: Tensor, values: Sequence[Value], clipping: Clipping) -> Tensor:
    """Clamp those of the rows `x [n, *shape]` that are guesses; images stay as they are."""
    if clipping.limit is None:
        return x
    guessed = torch.tensor([value.guessed for value in values]).to(x.device, non_blocking=True)
    return torch.where(guessed.reshape(-1, *[1] * (x.ndim - 1)), clipping.clamp(x), x)


class Scoring:
    """The way of values through a decoder to their verifiers.

    Args:
        rows: of states.
        probe: the level of the guesses that verifiers compare images with; None without one.
        decode_size, verify_size: images of one batch.
        block_bytes: of the rows of decoded images.

    Attributes:
        images: rows of decoded images; those of states for pixel models.
        decodes: whether a value must be decoded before it is scored.
        queues: by name, furthest downstream first.
    """

    def __init__(
        self,
        model: Denoiser,
        verifiers: Mapping[str, Verifier],
        rows: Rows,
        probe: Probe | None,
        decode_size: int,
        verify_size: int,
        block_bytes: int,
    ) -> None:
        self._probe = probe
        self._probing = {role for role, verifier in verifiers.items() if probe_of(verifier) is not None}
        self._waiting: defaultdict[Value, list[tuple[Value, str]]] = defaultdict(list)
        self.images = rows
        self.decodes = model.decoder is not None
        decode: dict[str, Decode] = {}
        if model.decoder is not None:
            self.images = Rows(model.decoder.shape, model.dtype, model.device, block_bytes)
            decode["decode"] = self._decode = Decode(model.decoder, rows, self.images, decode_size, model.clipping)
        clipping = Clipping() if self.decodes else model.clipping
        self._verify = {
            role: Verify(role, verifier, self.images, verify_size, clipping) for role, verifier in verifiers.items()
        }
        verify = {f"verify {role}": queue for role, queue in self._verify.items()}
        self.queues: dict[str, Queue[Value]] = {**verify, **decode}

    @property
    def image_bytes(self) -> int:
        """Return the size of a decoded image; 0 without a decoder."""
        return self.images.row_bytes if self.decodes else 0

    @property
    def images_in_use(self) -> int:
        """Return the number of decoded images in use; 0 without a decoder."""
        return self.images.in_use if self.decodes else 0

    @property
    def undecoded(self) -> int:
        """Return the number of latents that wait for the decoder."""
        return len(self._decode) if self.decodes else 0

    def check_role(self, role: str) -> None:
        """Refuse a role that no verifier has.

        Raises:
            ValueError: naming those that one has.
        """
        if role not in self._verify:
            raise ValueError(
                f"reward got by={role!r}, and the verifiers of this run are: {', '.join(self._verify) or 'none'}; "
                "verifier@guide=... beside a guidance=... is the one that guides, verifier=... the one that selects"
            )

    def check_value(self, value: Value, role: str, level: Level) -> None:
        """Refuse a guess of a particle at `level` that came too early for a verifier with a probe.

        Raises:
            ValueError: naming both levels.
        """
        if self._probe is not None and role in self._probing and value.probe is None:
            raise ValueError(
                f"asked for the reward of a guess at time {level.time:g}, and the verifier compares it with the guess "
                f"at time {self._probe.level.time:g}, from which no step has led there; score images, or guesses after "
                "that, or take another verifier"
            )

    def view(self, value: Value, role: str) -> list[Value]:
        """Return what the verifier of a role sees of a value: itself, and the guess that it is compared with."""
        return [cast(Value, value.probe), value] if role in self._probing else [value]

    def decode(self, value: Value) -> None:
        """Queue a latent, unless it has been."""
        if not value.decoding:
            value.decoding = True
            self._decode.add(value.run.order, value)

    def ask(self, value: Value, role: str) -> None:
        """Queue a value for the verifier of a role, once all that it sees is known and decoded; see `become_known`."""
        missing = [part for part in self.view(value, role) if not self._decoded(part)]
        if missing:
            self._waiting[missing[-1]].append((value, role))
        else:
            self._verify[role].add(value.run.order, value)

    def become_known(self, value: Value) -> None:
        """Send on the values that have waited for this one, which has been computed, or decoded."""
        for waiting, role in self._waiting.pop(value, ()):
            self.ask(waiting, role)

    def _decoded(self, value: Value) -> bool:
        """Return whether a value is decoded; one that is known is queued for that."""
        if value.row is None:
            return False
        if not self.decodes:
            value.decoded = value.row
        elif value.decoded is None:
            self.decode(value)
        return value.decoded is not None
