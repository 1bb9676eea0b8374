"""DLBS with lookahead: diffusion latent beam search (Oshima et al. 2025, arXiv:2501.19252), as in the authors' code."""

from dataclasses import dataclass

from its.search.beam import Beam
from its.search.search import Size, sized


@dataclass(frozen=True)
class DLBS(Beam):
    """Beam search whose children are scored at the end of a short deterministic sampling, at its authors' sizes.

    NFE = B T + B (K T' - 1)(T - e), where theirs is T B (1 + K T'): the first evaluation of a lookahead is the one that
    the child's next step needs, and the last step makes the image.
    """

    beams: int = 4  # B
    lookahead: int = 6  # T'
    children: Size = sized(natural=2)  # K
