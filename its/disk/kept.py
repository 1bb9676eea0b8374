"""What a run keeps of its images (`store.images`): `all`, the `preview` that its sample grids show, or `none`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sized

KEPT = ("none", "preview", "all")
"""Each keeps what those before it keep."""

SHOWN = 100
"""Problems whose images a sample grid shows, from the first."""


def serves(storage: str, wish: str) -> bool:
    """Return whether a run that keeps `kept` has what `wish` stands for."""
    return KEPT.index(storage) >= KEPT.index(wish)


def least(*storage: str) -> str:
    """Return what all of these keep."""
    return min(storage, key=KEPT.index)


def most(*storage: str) -> str:
    """Return what one of these keeps."""
    return max(storage, key=KEPT.index)


def holds(names: Collection[str], first: int, wish: str) -> bool:
    """Return whether a shard whose arrays have these names, if they are known, keeps what `wish` stands for.

    Args:
        names: of its arrays; none are known of a version that kept all images.
        first: its first problem.
    """
    if wish == "none" or "digest" not in names:
        return True
    return wish == "preview" and (first >= SHOWN or "images" in names)


def lacks_images(arrays: Mapping[str, Sized]) -> bool:
    """Return whether some of a shard's images are not stored; see `its.run.kept_images`."""
    return len(arrays.get("images", ())) < len(arrays.get("digest", ()))
