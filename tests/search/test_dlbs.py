"""DLBS: the search of `beam` by the reward of where each child's way without noise leads."""

import pytest

from its.config.checks import check_noise
from its.particles.verbs import Advance, Reward, advance, reward
from its.sampler.consistency import Consistency
from its.sampler.ddim import DDIM
from its.sampler.flow_cps import FlowCPS
from its.search.beam import Beam
from its.search.dlbs import DLBS
from its.search.parts.branching import horizon
from its.search.random import Random
from tests.search.trace import Always, outcome_of, traced

SAMPLER = DDIM(steps=10, eta=1.0)


class Brightness:
    """The mean of all pixels, which is the same for no two images."""

    absolute = True

    def reward(self, images, conditions):
        return images.flatten(1).mean(1)


def bits(lab, search, caps, verifier=None) -> dict:
    results = lab.bits(lab.engine(SAMPLER, None, verifier), search, caps, range(4))
    return {index: [(image, reward) for image, reward, _ in outcomes] for index, outcomes in results.items()}


def test_dlbs_of_one_evaluation_equals_beam(lab):
    caps = (10, 37, 90, 400)
    assert bits(lab, DLBS(beams=3, lookahead=1), caps) == bits(lab, Beam(beams=3), caps)


def test_dlbs_at_a_cap_without_lookaheads_equals_best_of_n(lab):
    assert bits(lab, DLBS(), (10, 20, 40)) == bits(lab, Random(), (10, 20, 40))


def test_lookahead_leaves_the_noise_of_the_way_as_it_is(lab):
    """Under a constant reward the first children go on, whatever they were scored by."""
    searches = [Beam(beams=2, lookahead=ahead, children=3) for ahead in (1, 2, 6)]
    one, two, six = (bits(lab, search, (float("inf"),), Always(0.5)) for search in searches)
    assert one == two == six


@pytest.mark.parametrize("sampler", [SAMPLER, FlowCPS(steps=10)], ids=["vp", "flow"])
@pytest.mark.parametrize("ahead", [2, 6])
def test_lookahead_is_the_reward_of_the_image_that_so_many_steps_without_noise_lead_to(lab, sampler, ahead):
    path = "flow" if isinstance(sampler, FlowCPS) else "vp"

    def body(image):
        children = yield advance(image.start(2) * 2, to=image.grid[3])
        end = horizon(image, image.grid[3], ahead)
        looked = yield reward((yield advance(children, to=end, steps=ahead - 1, deterministic=True)))
        images = yield advance(children, steps=ahead, deterministic=True)
        assert looked == pytest.approx((yield reward(images)), rel=1e-9)
        assert len(set(looked)) == 4
        return images[0]

    lab.play(body, sampler, lab.denoiser(path=path), Brightness())


def test_dlbs_looks_ahead_where_there_is_a_choice_and_its_ends_are_no_candidates(lab):
    log: list = []
    engine = lab.engine(SAMPLER, keep_candidates=True)
    search = lab.script(traced(DLBS(beams=2, lookahead=3, children=2), log))
    [result] = lab.results(engine, search, (float("inf"),), [0]).values()
    looks = [request for request, _ in log if isinstance(request, Advance) and request.deterministic]
    assert [(len(request.particles), request.steps) for request in looks] == [(4, 2)] * 9
    for request in looks:
        assert [level.time for level in request.to] == [pytest.approx(request.particles[0].level.time / 3)] * 4
    assert [len(request.particles) for request, _ in log if isinstance(request, Reward)] == [4] * 9 + [2]
    assert len(result.candidates) == 2


@pytest.mark.parametrize(("beams", "children", "ahead"), [(4, 2, 6), (3, 3, 2), (1, 2, 6)])
def test_dlbs_natural_cost_is_the_formula_of_its_docstring(lab, beams, children, ahead):
    outcome = outcome_of(lab, DLBS(beams=beams, lookahead=ahead, children=children), SAMPLER)
    assert outcome.ledger["nfe"] == beams * 10 + beams * (children * ahead - 1) * 9
    assert outcome.ledger["verifier_calls"] == beams * children * 9 + beams


@pytest.mark.parametrize("cap", [55, 76, 118, 240, 436, 800])
def test_dlbs_leaves_less_of_a_cap_than_one_more_child_takes(lab, cap):
    """One beam with all of its lookaheads takes 55, a further child 6."""
    assert cap - 6 < outcome_of(lab, DLBS(), SAMPLER, cap=cap).ledger["nfe"] <= cap


def test_dlbs_refuses_bad_parameters_and_a_sampler_that_cannot_do_without_noise():
    with pytest.raises(ValueError, match=r"search\.lookahead is 0; it is a whole number of at least 1"):
        DLBS(lookahead=0)
    with pytest.raises(ValueError, match="Consistency has no steps without noise"):
        check_noise(DLBS(), Consistency(steps=4))
    check_noise(DLBS(lookahead=1), Consistency(steps=4))
    with pytest.raises(ValueError, match=r"DLBS needs noise, .*set sampler\.eta above 0"):
        check_noise(DLBS(), DDIM(steps=4, eta=0.0))
