"""Caps in verifier calls: exact for anytime searches, kept and nearly used up by planned ones."""

import pytest

from its.budget import Budget, Ledger
from its.config.sizes import sized
from its.engine import Engine
from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.search.more_steps import MoreSteps
from its.search.search import Search
from its.search.zero_order import ZeroOrder
from its.types import Problem
from its.verifier.classifier import Classifier
from tests.contract.test_anytime import SCRIPTS
from tests.contract.test_ledger import Counters, paid_by

CAPS = (2, 5, 9, 20)
CALLS = "verifier_calls"
ETAS = {"eta0": DDIM(steps=10, eta=0.0), "eta1": DDIM(steps=10, eta=1.0)}


def check_every_cap(lab, engine, search) -> None:
    together = lab.bits(engine(), search, CAPS, range(2), CALLS)
    for k, cap in enumerate(CAPS):
        alone = lab.bits(engine(), search, (cap,), range(2), CALLS)
        assert {index: outcomes[k : k + 1] for index, outcomes in together.items()} == alone, f"cap {cap}"


def test_search_gives_each_cap_of_calls_what_a_run_of_its_own_gives(lab, search, setting, two_settings, anytime_only):
    check_every_cap(lab, lambda: lab.engine(setting.sampler, setting.model(lab)), search)


def test_search_gives_the_same_at_caps_in_nfe_that_pay_the_same(
    lab, search, setting, two_settings, anytime_only, whole_samplings
):
    """Images, rewards and every column of the ledger; every image of these costs one sampling and one call."""
    engine = lab.engine(setting.sampler, setting.model(lab))
    by_calls = lab.bits(engine, search, CAPS, range(2), CALLS)
    assert by_calls == lab.bits(engine, search, [cap * engine.prices.sampling for cap in CAPS], range(2))


def climbing(image):
    """Noisy states on the way cost no call, and which of them goes on hangs on a reply that a small cap cuts short."""
    best = yield advance(image.start())
    rewards = yield reward(best)
    while True:
        images = yield advance(image.start(3))
        rewards = yield reward(images)
        [best] = image.best(images, rewards, 1)
        [noisy] = image.renoise([best], image.grid[4])
        [lower] = yield advance([noisy], to=image.grid[6])
        halves = yield advance([lower, *image.start(2)], to=[None, image.grid[7], image.grid[8]])
        yield reward(halves)


def free_first(image):
    """What takes steps alone is listed before what takes a call."""
    yield reward((yield advance(image.start())))
    while True:
        parts = yield advance(image.start(3), to=[image.grid[3], None, None])
        yield reward(parts[1:])
        yield reward((yield advance(parts[:1], to=image.grid[5])), of="before")


@pytest.mark.parametrize("sampler", ETAS.values(), ids=ETAS)
@pytest.mark.parametrize("body", [*SCRIPTS, climbing, free_first], ids=lambda body: body.__name__)
def test_engine_gives_each_cap_of_calls_its_own_result_under_irregular_requests(lab, body, sampler):
    check_every_cap(lab, lambda: lab.engine(sampler), lab.script(body, anytime=True))


def test_ledger_by_calls_equals_the_counted_work_without_padding(
    lab, search, setting, two_settings, of_calls, monkeypatch
):
    counters = Counters(lab, setting, monkeypatch)
    engine = lab.engine(setting.sampler, counters.model, counters.verifier, batch=14, gradient_batch=14, rows=8192)
    least = least_of(search, engine)
    caps = (least + 2, 2 * least + 30)
    results = lab.results(counters.watched(engine), search, caps, range(2), CALLS)
    assert all(o.ledger[CALLS] <= cap for r in results.values() for o, cap in zip(r.outcomes, caps, strict=True))
    paid = paid_by(results)
    if not search.anytime:
        paid = {column: sum(o.ledger[column] for r in results.values() for o in r.outcomes) for column in paid}
    assert paid == counters.counted


def least_of(search: Search, engine) -> int:
    """The least cap in calls."""
    ledger = Ledger(1, CALLS)
    return search.minimum_calls(Image(Problem(0), 0, engine.prices, ledger, anytime=search.anytime, shape=(1, 4, 4)))


def test_planned_search_spends_its_cap_of_calls_and_no_more(lab, search, setting, planned_of_calls):
    engine = lab.engine(setting.sampler, setting.model(lab), rows=8192)
    least = least_of(search, engine)
    caps = (least, least + 1, 3 * least + 2, 60, 137)
    results = lab.results(engine, search, caps, range(2), CALLS)
    for result in results.values():
        for outcome, cap in zip(result.outcomes, caps, strict=True):
            assert 1 <= outcome.ledger[CALLS] + outcome.ledger["guide_calls"] <= cap
    name = type(search).__name__
    if name not in ("DFS", "BFSPrune", "BFSResample", "FK"):  # these stop where they are satisfied, or share guesses
        ledgers = [result.outcomes[-1].ledger for result in results.values()]
        assert all(ledger[CALLS] + ledger["guide_calls"] >= 0.9 * caps[-1] for ledger in ledgers), name
    if least > 1:
        with pytest.raises(ValueError, match=f"below the {least} verifier calls that {name} needs"):
            sized(search, Budget(verifier_calls=[least - 1]), engine.prices)


def test_image_that_is_never_rewarded_costs_a_call_of_the_clock_and_none_of_the_column(lab):
    def body(image):
        yield reward((yield advance(image.start())))
        yield advance(image.start(2))
        yield reward((yield advance(image.start())))
        yield advance(image.start(9))

    results = lab.results(lab.engine(ETAS["eta1"]), lab.script(body, anytime=True), (1, 3, 4), [0], CALLS)
    ledgers = [outcome.ledger for outcome in results[0].outcomes]
    sampling = lab.engine(ETAS["eta1"]).prices.sampling
    spent = [(ledger["nfe"] / sampling, ledger[CALLS]) for ledger in ledgers]
    assert spent == [(1, 1), (3, 1), (4, 2)]


def test_reward_by_the_guide_counts_as_a_call(lab):
    def body(image):
        images = yield advance(image.start(2))
        yield reward(images)
        yield reward(images, by="guide")
        yield reward(images, by="guide")
        yield reward((yield advance(image.start())))

    verifier = Classifier(lab.logits)
    engine = Engine(lab.denoiser(), ETAS["eta1"], {"select": verifier, "guide": verifier}, seed=0)
    results = lab.results(engine, lab.script(body, anytime=True), (2, 3, 4, 5), [0], CALLS)
    assert [outcome.ledger[CALLS] for outcome in results[0].outcomes] == [2, 3, 4, 5]


def never_asking(image):
    yield reward((yield advance(image.start())))
    while True:
        particles = yield advance(image.start(), to=image.grid[-2])
        image.renoise(particles, image.grid[3])


@pytest.mark.parametrize("anytime", [True, False])
def test_search_that_asks_for_no_reward_is_ended_by_name(lab, anytime, monkeypatch):
    monkeypatch.setattr("its.engine.coroutine.MOST_IDLE", 5)
    with pytest.raises(ValueError, match=r"NFE one after the other without a verifier call.*give budget\.nfe"):
        lab.bits(lab.engine(ETAS["eta1"]), lab.script(never_asking, anytime=anytime), (5,), [0], CALLS)


def test_wide_population_may_go_far_without_a_call(lab):
    def body(image):
        particles = image.start(600)
        for level in image.grid[1:9]:
            particles = yield advance(particles, to=level)
        yield reward(particles[:3])
        yield reward((yield advance(particles[:1])))

    engine = lab.engine(ETAS["eta1"], rows=8192)
    [outcome] = lab.results(engine, lab.script(body, anytime=True), (5,), [0], CALLS)[0].outcomes
    grid = engine.prices.grid
    nfe = 600 * lab.nfe(grid[:8]) + 3 * lab.nfe(grid[8:9]) + lab.nfe(grid[9:10])
    rest = {"nfe_backward": 0, "decoder_calls": 4 if lab.latent else 0, "guide_calls": 0, "decoder_backward": 0}
    assert outcome.ledger == {"nfe": nfe, CALLS: 4, **rest}


def test_sized_refuses_a_search_that_cannot_plan_for_calls(lab):
    prices = lab.engine(ETAS["eta1"]).prices
    with pytest.raises(ValueError, match="MoreSteps cannot plan for a cap in verifier calls; these can: beam, bfs_"):
        sized(MoreSteps(), Budget(verifier_calls=[4]), prices)
    with pytest.raises(ValueError, match=r"rounds=2 fixes a size beside the caps of budget\.verifier_calls"):
        sized(ZeroOrder(rounds=2), Budget(verifier_calls=[4]), prices)


def test_image_price_is_refused_to_an_anytime_search(lab):
    with pytest.raises(ValueError, match=r"image\.price was asked by an anytime search"):
        lab.bits(lab.engine(ETAS["eta1"]), lab.script(lambda image: image.price(1, 1), anytime=True), (5,), [0], CALLS)
