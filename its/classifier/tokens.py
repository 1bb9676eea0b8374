"""The tokens of prompts, as many as a network takes: what is cut loses words, never the end token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from its.model.transformers_network import loaded
from its.weights import locate

TOKENIZER = "tokenizer.json"
PARTS = ("vocab.json", "merges.txt")
"""Files of a tokenizer: in one, or in two."""

SAMPLE = "a photo of a cat"


class Tokens:
    """The tokens of prompts, each with a start, an end and at most `most` in all.

    Args:
        tokenizer: transformers'.
        most: tokens that the network takes.
        vocabulary: tokens that it knows.
        weights: name of the tokenizer, for messages.
        clean: makes of a prompt what is cut into tokens, among which it can then name no special one.

    Raises:
        ValueError: the tokenizer is not the network's.
    """

    def __init__(
        self,
        tokenizer: Any,
        most: int,
        vocabulary: int,
        weights: str,
        clean: Callable[[str], str] | None = None,
    ) -> None:
        self._tokenizer, self._clean = tokenizer, clean
        self.most, self.vocabulary, self.weights = most, vocabulary, weights
        bare, sample = self._whole(""), self._whole(SAMPLE)
        whole = len(bare) == 2 and len(sample) >= 4 and [sample[0], sample[-1]] == bare
        if not whole or {*bare} & {*sample[1:-1]}:
            raise ValueError(
                f"the tokenizer of {weights} makes {bare} of no words and {sample} of {SAMPLE!r}; a start, words and "
                "an end are expected: take the tokenizer that the network was trained with"
            )
        if dropout := getattr(getattr(tokenizer.backend_tokenizer, "model", None), "dropout", None):
            raise ValueError(
                f"the tokenizer of {weights} has dropout={dropout:g} and cuts a prompt by chance; set it to null"
            )

    def __call__(self, prompt: str) -> list[int]:
        """Return the tokens of a prompt; of one that is too long the first ones and the end.

        Raises:
            ValueError: the network does not know one of them.
        """
        tokens = self._whole(prompt)
        if max(tokens) >= self.vocabulary:
            raise ValueError(
                f"the tokenizer of {self.weights} makes token {max(tokens)} of {prompt[:200]!r}, and the network knows "
                f"{self.vocabulary}; take the tokenizer that it was trained with"
            )
        return tokens if len(tokens) <= self.most else [*tokens[: self.most - 1], tokens[-1]]

    def padded(self, prompt: str, token: int | None = None) -> list[int]:
        """Return the tokens of a prompt, filled up behind the end with `token`; None is the end itself."""
        tokens = self(prompt)
        return tokens + [tokens[-1] if token is None else token] * (self.most - len(tokens))

    def _whole(self, prompt: str) -> list[int]:
        options: dict[str, Any] = {"padding": False, "truncation": False, "verbose": False}
        if self._clean is not None:
            prompt, options["split_special_tokens"] = self._clean(prompt), True
        try:
            return self._tokenizer(prompt, **options)["input_ids"]
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the library panics too, which is no Exception
            raise ValueError(
                f"the tokenizer of {self.weights} does not read {prompt[:200]!r} ({type(error).__name__}: {error}); "
                "mend the prompt, or fetch the tokenizer again"
            ) from error


def tokenizer_of(weights: str, kind: str = "CLIPTokenizer") -> Any:
    """Load the tokenizer of a folder, or a file `tokenizer.json`; the library makes an empty one where files miss.

    Args:
        kind: name of transformers' class, for a folder.

    Raises:
        ValueError: its files are not there or not read.
    """
    path = locate(weights)
    if path.is_file():
        return _of_file(path, weights)
    if not (path / TOKENIZER).is_file() and not all((path / part).is_file() for part in PARTS):
        raise ValueError(f"{weights} has neither {TOKENIZER} nor {' and '.join(PARTS)}; fetch the whole repository")
    return loaded(kind, path, weights)


def _of_file(path: Path, weights: str) -> Any:
    """Read a `tokenizer.json`, which holds all that there is to a tokenizer."""
    import transformers

    try:
        return transformers.PreTrainedTokenizerFast(tokenizer_file=str(path))
    except Exception as error:  # the reader raises bare exceptions
        raise ValueError(
            f"{weights} is no {TOKENIZER} ({' '.join(str(error).split())[:200]}); fetch it again"
        ) from error
