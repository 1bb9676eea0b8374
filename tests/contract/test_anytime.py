"""One run of an anytime search serves every cap: each equals a run of its own, to the bit."""

from collections.abc import Callable

import pytest

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.sampler.heun import Heun
from its.search.random import Random
from its.search.search import Coroutine, Search
from its.search.zero_order import ZeroOrder

CAPS = (25, 57, 104, 200, 300)
SAMPLERS = {"eta0": DDIM(steps=10, eta=0.0), "eta1": DDIM(steps=10, eta=1.0), "heun": Heun(steps=7, spacing="linspace")}


def mixed_costs(image: Image) -> Coroutine:
    """Advances of different cost in one list, then cheaper requests, then free ones."""
    high, low = image.grid[3], image.grid[4]
    yield reward((yield advance(image.start())))
    while True:
        particles = yield advance(image.start(5), to=[None, high, low, None, high])
        yield reward([p for p in particles if p.level.clean])
        going = [p for p in particles if not p.level.clean]
        rewards = yield reward(going)
        ranked = [going[i] for i in sorted(range(len(rewards)), key=lambda i: -rewards[i])]
        both = ranked + ranked[:1]
        ended = yield advance(both, to=[p.level if k == 2 else None for k, p in enumerate(both)])
        yield reward([p for p in ended if p.level.clean])


def delayed_rewards(image: Image) -> Coroutine:
    """Images are scored after a later request has been charged."""
    yield reward((yield advance(image.start())))
    images = yield advance(image.start())
    while True:
        more = yield advance(image.start(3))
        yield reward(images)
        images = more


def free_endings(image: Image) -> Coroutine:
    """Guesses at the last level are paid for one by one; the images follow from them for nothing."""
    yield reward((yield advance(image.start())))
    while True:
        particles = yield advance(image.start(4), to=image.grid[-2])
        rewards = yield reward(particles)
        particles = yield advance(particles[: len(rewards)])
        yield reward(particles)


def peeking(image: Image) -> Coroutine:
    """Guesses scored on the way, and a list that mixes what is free with what is not."""
    [first] = yield advance(image.start())
    yield reward([first])
    while True:
        halves = yield advance(image.start(3), to=image.grid[5])
        yield reward(halves, of="before")
        guessed = yield reward([*halves, first])
        [*images] = yield advance(halves[: len(guessed)])
        yield reward([*images, first])
        first = images[-1]


SCRIPTS: list[Callable[[Image], Coroutine]] = [mixed_costs, delayed_rewards, free_endings, peeking]


def check_every_cap(lab, engine: Callable, search: Search) -> None:
    together = lab.bits(engine(), search, CAPS, range(3))
    for k, cap in enumerate(CAPS):
        alone = lab.bits(engine(), search, (cap,), range(3))
        assert {index: outcomes[k : k + 1] for index, outcomes in together.items()} == alone, f"cap {cap}"


def test_search_gives_each_cap_what_a_run_of_its_own_gives(lab, search, setting, every_setting, anytime_only):
    check_every_cap(lab, lambda: lab.engine(setting.sampler, setting.model(lab)), search)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("body", SCRIPTS, ids=lambda body: body.__name__)
def test_engine_gives_each_cap_its_own_result_under_irregular_requests(lab, body, sampler):
    check_every_cap(lab, lambda: lab.engine(sampler), lab.script(body, anytime=True))


@pytest.mark.parametrize("search", [Random(block=3), ZeroOrder(neighbors=3)], ids=lambda search: type(search).__name__)
def test_random_and_zero_order_never_find_worse_with_more_compute(lab, search):
    results = lab.results(lab.engine(DDIM(steps=10, eta=0.0)), search, CAPS, range(8))
    rewards = [[outcome.reward for outcome in result.outcomes] for result in results.values()]
    assert all(curve == sorted(curve) for curve in rewards)
    assert sum(curve[0] < curve[-1] for curve in rewards) >= 4


def test_engine_refuses_free_before_costly_in_an_anytime_search(lab):
    def body(image):
        images = yield advance(image.start())
        yield reward(images)
        yield advance([*images, *image.start()])

    with pytest.raises(ValueError, match="listed something free before something that costs"):
        lab.bits(lab.engine(DDIM(steps=10, eta=0.0)), lab.script(body, anytime=True), (30,), [0])


def test_engine_gives_ties_to_the_first_scored_at_every_cap(lab):
    """All rewards are equal, and the later of two scored images was paid for first."""

    class Same:
        absolute = True

        def reward(self, images, conditions):
            return images.new_zeros(len(images))

    def two(image):
        images = yield advance(image.start(2))
        yield reward(images[::-1])
        return None

    def run(*samplings):
        engine = lab.engine(DDIM(steps=10, eta=0.0), verifier=Same())
        caps = [n * engine.prices.sampling for n in samplings]
        return lab.bits(engine, lab.script(two, anytime=True), caps, [0])[0]

    assert run(1, 2) == run(1) + run(2)
    assert run(1) != run(2)


def test_search_gets_few_free_replies_in_a_row(lab, search, setting, monkeypatch):
    """The limit that ends a search is far above what any of ours comes to, near its cap too."""
    monkeypatch.setattr("its.engine.coroutine.MOST_FREE", 50)
    engine = lab.engine(setting.sampler, setting.model(lab), rows=8192)
    for caps in ((2 * engine.prices.sampling,), (12 * engine.prices.sampling + 3,)):
        assert lab.results(engine, search, caps, range(2))
