"""What a run keeps of its images (`store.images`): `all`, the `preview` that its sample grids show, or `none`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sized

KEPT = ("none", "preview", "all")
"""Each keeps what those before it keep."""

SHOWN = 100
"""Problems whose images a sample grid shows, from the first."""


def serves(kept: str, asked: str) -> bool:
    """Return whether a run that keeps `kept` has what `asked` stands for."""
    return KEPT.index(kept) >= KEPT.index(asked)


def least(*kept: str) -> str:
    """Return what all of these keep."""
    return min(kept, key=KEPT.index)


def most(*kept: str) -> str:
    """Return what one of these keeps."""
    return max(kept, key=KEPT.index)


def holds(names: Collection[str], first: int, asked: str) -> bool:
    """Return whether a shard whose arrays have these names, if they are known, keeps what is asked.

    Args:
        names: of its arrays; none are known of a version that kept all images.
        first: its first problem.
    """
    if asked == "none" or "digest" not in names:
        return True
    return asked == "preview" and (first >= SHOWN or "images" in names)


def lacks_images(arrays: Mapping[str, Sized]) -> bool:
    """Return whether some of a shard's images are not stored; see `its.run.kept_images`."""
    return len(arrays.get("images", ())) < len(arrays.get("digest", ()))
