"""Numbers as text for people."""

from __future__ import annotations

import math


def significant(value: float, digits: int = 4) -> str:
    """Return a number with `digits` significant digits, without powers of ten between 1e-4 and 1e6."""
    if not math.isfinite(value) or value == 0 or not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits}g}"
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"
