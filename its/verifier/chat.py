"""One question about one picture to an endpoint that speaks OpenAI's chat completions, over HTTP."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from time import monotonic, time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from its.verifier.rubric import NonsenseError

if TYPE_CHECKING:
    import numpy as np

LATER = (408, 409, 425, 429, 500, 502, 503, 504, 529)
"""Statuses of a host that may answer if it is asked again."""

DECLINED = (400, 413, 422, 451)
"""Statuses of a host that takes no offence at the key or the address, but at what it is sent."""

HERE = ("localhost", "127.0.0.1", "::1")

MOST_BYTES, CHUNK = 1 << 22, 1 << 16
"""Of an answer that is read, and of a piece of it."""

MOST_TOKENS = 10**9
"""Tokens of one request; a host that says more, or something else, is taken to count none."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names of variables of the environment."""


class BusyError(Exception):
    """Raised where asking again may help; `wait_s` is what the host asks for, None if it says nothing."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class RefusedError(Exception):
    """Raised where asking again does not help: a wrong key, model or address, or a picture that the host declines."""

    def __init__(self, reason: str, *, of_picture: bool = False) -> None:
        super().__init__(reason)
        self.of_picture = of_picture


class Reply(NamedTuple):
    """What a model wrote, and the tokens that the host counted; 0 where it counts none."""

    text: str
    tokens_read: int
    tokens_written: int


class _NoRedirect(HTTPRedirectHandler):
    """A key goes to the host that was named, and to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


OPENER, OPENER_HERE = build_opener(_NoRedirect), build_opener(_NoRedirect, ProxyHandler({}))
"""Of hosts elsewhere, which may be behind a proxy, and of this machine, which is not."""


@dataclass(frozen=True)
class Chat:
    """An endpoint and what every request to it holds.

    Attributes:
        url: to which `/chat/completions` is added.
        model: as the host calls it.
        key_variable: the environment's variable with the key; None sends none.
        options: of every request (`temperature`, `max_tokens`, ...).
        timeout_s: seconds for one answer.
    """

    url: str
    model: str
    key_variable: str | None
    options: Mapping[str, Any]
    timeout_s: float

    def __post_init__(self) -> None:
        if not _is_base(self.url):
            raise ValueError(
                f"url of the judge is {self.url!r}; it is http(s)://host/v1, to which /chat/completions is added, "
                "without a key in it"
            )
        if self.key_variable is not None and not VARIABLE.fullmatch(self.key_variable):
            raise ValueError(
                "key_variable of the judge is no name of a variable of the environment; export the key as one, and "
                "give the name: key_variable=GEMINI_API_KEY"
            )
        if self.url.startswith("http:") and self.key_variable is not None and not self._is_here:
            raise ValueError(
                f"url of the judge is {self.url!r}, and the key in {self.key_variable} would be sent unencrypted; use "
                "https, or set key_variable=null"
            )
        if clash := {"model", "messages", "stream", "n"} & self.options.keys():
            raise ValueError(f"options of the judge have {', '.join(sorted(clash))}, which requests set themselves")

    def ask(self, picture: np.ndarray, question: str) -> Reply:
        """Return what the model writes about a picture, uint8 `[H, W, 3]`.

        Raises:
            BusyError: it may answer if it is asked again. RefusedError: it will not. NonsenseError: its answer holds
                no text.
        """
        content = [
            {"type": "text", "text": question},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_png(picture)}"}},
        ]
        body = {"model": self.model, **self.options, "messages": [{"role": "user", "content": content}]}
        request = Request(
            f"{self.url.rstrip('/')}/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", **self._authorization()},
        )
        opener, deadline = OPENER_HERE if self._is_here else OPENER, monotonic() + self.timeout_s
        try:
            with opener.open(request, timeout=self.timeout_s) as response:
                return _reply(_content(response, deadline))
        except HTTPError as error:
            raise self._failure(error) from error
        except (URLError, HTTPException, OSError) as error:
            raise BusyError(f"{type(error).__name__}: {str(error)[:200]}") from error

    def without_key(self, text: str) -> str:
        """Return what a host has said without the key, and without control characters."""
        key = os.environ.get(self.key_variable or "", "").strip()
        text = text.replace(key, f"<{self.key_variable}>") if key else text
        return "".join(letter if letter.isprintable() else " " for letter in text)

    @property
    def _is_here(self) -> bool:
        return urlsplit(self.url).hostname in HERE

    def _authorization(self) -> dict[str, str]:
        if self.key_variable is None:
            return {}
        key = os.environ.get(self.key_variable, "").strip()
        if not key:
            raise RefusedError(
                f"the environment has no {self.key_variable}; export it with the key of {self.url}, or set "
                "key_variable to the variable that holds it (null: none is sent)"
            )
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise RefusedError(
                f"what the environment has as {self.key_variable} is no key: it has a space, a line break or a letter "
                "beyond ASCII in it; export it anew"
            )
        return {"Authorization": f"Bearer {key}"}

    def _failure(self, error: HTTPError) -> Exception:
        """Return what an error's status means, with the host's own words."""
        with error:
            try:
                words = " ".join(error.read(4096).decode(errors="replace").split())[:300]
            except (OSError, HTTPException):
                words = ""
        reason = f"HTTP {error.code} {error.reason}: {words}"
        if error.code in LATER:
            return BusyError(reason, _wait_s(error.headers))
        return RefusedError(reason, of_picture=error.code in DECLINED)


def _png(picture: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _is_base(url: str) -> bool:
    """Return whether an address is a host's, with a path at most."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    bare = not (parts.query or parts.fragment or parts.username is not None)
    return whole and bare and url.isascii() and url.isprintable() and " " not in url


def _content(response: Any, deadline: float) -> bytes:
    """Read an answer piece by piece, for as long as there is time, and no more than answers have.

    Raises:
        TimeoutError: the host is still writing.
    """
    pieces = list[bytes]()
    while sum(map(len, pieces)) < MOST_BYTES and (piece := response.read1(CHUNK)):
        pieces.append(piece)
        if monotonic() > deadline:
            raise TimeoutError("it is still writing")
    return b"".join(pieces)


def _reply(content: bytes) -> Reply:
    """Read an answer of the protocol.

    Raises:
        BusyError: it is none. NonsenseError: it holds no text.
    """
    try:
        answer = json.loads(content)
        choices, counted = answer["choices"], answer.get("usage")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BusyError(f"it sends no chat completion: {content[:100].decode(errors='replace')!r}") from error
    try:
        [choice] = choices
        text = choice["message"]["content"]
    except (ValueError, TypeError, KeyError) as error:
        raise NonsenseError("it has not one choice with a message") from error
    counts = counted if isinstance(counted, dict) else {}
    tokens = (_count(counts.get(name)) for name in ("prompt_tokens", "completion_tokens"))
    return Reply(text if isinstance(text, str) else "", *tokens)


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else 0


def _wait_s(headers: Any) -> float | None:
    """Return the seconds that a host asks to wait, given as a number or a date."""
    said = headers.get("Retry-After", "").strip()
    try:
        return float(said) if said.replace(".", "", 1).isdigit() else parsedate_to_datetime(said).timestamp() - time()
    except (TypeError, ValueError, OverflowError):
        return None
