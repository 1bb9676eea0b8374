"""What a search says of the guesses that it scores, against the levels at which it asks for rewards."""

import pytest

from its.particles.probe import Probe
from its.search.search import Search
from its.types import Problem


class Promise:
    """A reward that is the first pixel of the guess."""

    absolute, probe = True, 0.4

    def reward(self, images, conditions, guesses):
        return guesses[:, 0, 0, 0].double()


def test_search_says_whether_it_scores_guesses_before_a_probe(lab, search: Search, setting, two_settings):
    """One that does, or scores images that gradients came of, is stopped by the engine; any other goes through."""
    engine = lab.engine(setting.sampler, setting.model(lab), Promise())
    caps = (12 * engine.prices.sampling,)
    if not search.scores_guesses and search.takes_gradients != "sampler":
        [result] = lab.results(engine, search, caps, [1]).values()
        assert not result.failure
        assert isinstance(engine.probe, Probe)
        return
    with pytest.raises(ValueError, match=r"asked for the reward of a guess at .* from which no step has led"):
        list(engine.run(search, caps, [Problem(1, 1)]))
