"""Encodings of prompts, kept on disk: each text is encoded once, and with all of them there no encoder is loaded."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from its.disk.cache import cache_folder
from its.disk.files import DamagedFile, read_file, write_atomic

Text = dict[str, Tensor]
"""What a network is given of a prompt, by name: tensors without a dimension for rows, of one shape for every prompt."""

Encode = Callable[[str], Text]

HELD = 32
"""Prompts whose encodings lie on the device at once, beside those of the batch."""

DIGEST_BYTES = 32

log = logging.getLogger(__name__)


class TextCache:
    """Encodings by prompt, in a folder below the user's cache that is named by what makes them.

    Args:
        recipe: everything but the text that decides an encoding, as JSON: encoders by content, type, length, options.
        encoders: loads the encoders; they are let go when the prompts that were missing are encoded.
        device: where encodings are used.
    """

    def __init__(self, recipe: Mapping[str, Any], encoders: Callable[[], Encode], device: torch.device | str) -> None:
        name = sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:32]
        self.folder = cache_folder() / "text" / name
        self._encoders = encoders
        self._device = device
        self._scratch: TemporaryDirectory[str] | None = None
        self._held = lru_cache(maxsize=HELD)(self._read)

    def prepare(self, prompts: Iterable[str]) -> None:
        """Encode the prompts that are not there yet."""
        missing = [
            prompt for prompt in dict.fromkeys(prompts) if not any(path.is_file() for path in self._paths(prompt))
        ]
        if missing:
            self._encode(missing)

    def _encode(self, prompts: Sequence[str]) -> None:
        """Encode prompts one at a time, so that none depends on its company, and let the encoders go."""
        log.info("encoding %d prompts, kept in %s", len(prompts), self.folder)
        encode = self._encoders()
        with torch.no_grad():
            for prompt in prompts:
                self._keep(prompt, {name: value.cpu().contiguous() for name, value in encode(prompt).items()})
        del encode
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def __call__(self, prompt: str) -> Text:
        """Return the encoding of a prompt, on the device."""
        return self._held(prompt)

    def _read(self, prompt: str) -> Text:
        text = self._stored(prompt)
        if text is None:
            self._encode([prompt])
            text = self._stored(prompt)
        assert text is not None, "it was kept"
        return {name: value.to(self._device) for name, value in text.items()}

    def _paths(self, prompt: str) -> list[Path]:
        """Return where an encoding may be: in the cache, and in this process's own folder if it has one."""
        name = f"{sha256(encoded(prompt)).hexdigest()}.text"
        folders = [self.folder] if self._scratch is None else [self.folder, Path(self._scratch.name)]
        return [folder / name for folder in folders]

    def _keep(self, prompt: str, text: Text) -> None:
        """Write an encoding behind its sha256; where the cache cannot be written, into a folder that goes with it.

        Raises:
            OSError: there is no room in either.
        """
        content = save(text)
        content = sha256(content).digest() + content
        if self._scratch is None:
            try:
                return write_atomic(self._paths(prompt)[0], content)
            except OSError as error:
                self._scratch = TemporaryDirectory(prefix="its-text-")
                log.warning("encodings are not kept (%s), but in %s while this lasts", str(error), self._scratch.name)
        try:
            write_atomic(self._paths(prompt)[-1], content)
        except OSError as error:
            raise OSError(
                f"no encoding of a prompt can be written ({error}); set ITS_CACHE to a folder with room"
            ) from error

    def _stored(self, prompt: str) -> Text | None:
        """Return an encoding that is there and whole."""
        return next((text for path in self._paths(prompt) if (text := self._loaded(path)) is not None), None)

    def _loaded(self, path: Path) -> Text | None:
        try:
            content = read_file(path)
        except (OSError, DamagedFile):
            return None
        if content is None or sha256(content[DIGEST_BYTES:]).digest() != content[:DIGEST_BYTES]:
            return None
        try:
            return load(content[DIGEST_BYTES:])
        except SafetensorError:
            return None


def encoded(prompt: str) -> bytes:
    """Return a prompt in UTF-8.

    Raises:
        ValueError: it has halves of characters, as a terminal makes them of bytes that are no UTF-8.
    """
    try:
        return prompt.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the prompt {prompt[:80]!r} has {prompt[error.start]!r}, which is no character; write it in UTF-8"
        ) from error
