"""Each mistake of a newcomer's search is told in a sentence, with the line of the file: what, the rule, the remedy."""

import math
import random
import re
from contextlib import suppress
from dataclasses import FrozenInstanceError, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch

from its import Engine, Problem, Rotate, Search, Verifier, advance, reward
from its.budget import Ledger, OutOfBudget
from its.config.smoke import CAPS, IMAGES
from its.engine.coroutine import MOST_FREE, SearchCoroutine
from its.engine.global_random import WATCHED
from its.particles.image import Image
from its.sampler.ddim import DDIM
from its.verifier.verifier import is_absolute, members_of
from its.verifier.zscore import ZScore

HERE = Path(__file__)


def line_of(text: str) -> int:
    """The one line of this file that ends with a comment."""
    [number] = [k for k, line in enumerate(HERE.read_text().splitlines(), start=1) if line.endswith(f"  # {text}")]
    return number


@dataclass(frozen=True)
class Method(Search):
    """A search whose `run` a test gives."""

    def sized_for(self, nfe, image):
        return self


def method(body, **attributes):
    """Return a search with this `run`."""
    return dataclass(frozen=True)(type("Climb", (Method,), {"run": body, **attributes}))()


def told(lab, search, images=1, caps=(math.inf,), **options) -> str:
    """Run a search and return the sentence it ends with."""
    engine = lab.engine(DDIM(steps=4, eta=1.0), **options)
    with pytest.raises(ValueError, match="Climb") as error:
        list(engine.run(search, caps, [Problem(k, 1) for k in range(images)]))
    return str(error.value)


def no_yield(self, image):
    return advance(image.start())  # no yield


def no_yield_but_drops(self, image):
    advance(image.start())  # no yield but drops


def unpacks(self, image):
    [best] = advance(image.start())  # unpacks
    yield reward([best])


def indexes(self, image):
    particles = advance(image.start())
    yield reward([particles[0]])  # indexes


def iterates(self, image):
    particles = advance(image.start())
    yield reward([p for p in particles])  # iterates


def counts(self, image):
    particles = advance(image.start())
    yield advance(image.start(len(particles)))  # counts


def hands_on(self, image):
    particles = advance(image.start())
    yield reward(particles)  # hands on


def compares(self, image):
    particles = yield advance(image.start())
    rewards = reward(particles)
    if rewards > 3:  # compares
        yield reward(particles)


def ranks(self, image):
    particles = yield advance(image.start(2))
    rewards = reward(particles)
    return image.best(particles, rewards)[0]  # ranks


def renoises(self, image):
    image.renoise(advance(image.start()), to=image.grid[0])  # renoises
    yield


def takes_from(self, image):
    yield from advance(image.start())  # takes from


@pytest.mark.parametrize(
    "body",
    [unpacks, indexes, iterates, counts, hands_on, compares, ranks, renoises, takes_from],
    ids=lambda body: body.__name__,
)
def test_request_used_as_its_reply_is_refused_at_the_line(lab, body):
    place = f"{HERE}:{line_of(body.__name__.replace('_', ' '))}"
    words = r"only asks, and is used here as if it were the reply; write yield (advance|reward)\(\.\.\.\)"
    assert re.match(rf"{place}: Climb, image 0: (advance|reward)\(\.\.\.\) {words}", told(lab, method(body)))


def test_run_without_yield_is_refused_at_its_return(lab):
    sentence = told(lab, method(no_yield))
    assert sentence.startswith(
        f"{HERE}:{line_of('no yield')}: Climb, image 0: run has no yield and returned advance(...);"
    )
    assert "write particles = yield advance(image.start())" in sentence
    for value in (None, [], 3.0):
        assert f"has no yield and returned {value if value != [] else 'a list of 0'};" in told(
            lab, method(lambda self, image, value=value: value)
        )


def drops(self, image):
    particles = yield advance(image.start())
    reward(particles)  # drops
    yield advance(image.start())


def drops_last(self, image):
    particles = yield advance(image.start())
    yield reward(particles)
    reward(particles)  # drops last


@pytest.mark.parametrize("body", [drops, drops_last, no_yield_but_drops], ids=lambda body: body.__name__)
def test_request_that_is_never_yielded_is_refused_at_the_line(lab, body):
    sentence = told(lab, method(body))
    assert sentence.startswith(f"{HERE}:{line_of(body.__name__.replace('_', ' '))}: Climb, image 0: ")
    assert re.search(r"(advance|reward)\(\.\.\.\) was never yielded, .*; write yield (advance|reward)\(", sentence)


def test_request_may_be_kept_and_yielded_later_or_given_up_with_the_budget(lab):
    def body(self, image):
        [first, *later] = [advance(image.start()), advance(image.start()), advance(image.start())]
        for request in (first, *later):
            yield reward((yield request))

    results = list(lab.engine(DDIM(steps=4, eta=1.0)).run(method(body, anytime=True), (4, 9), [Problem(0, 1)]))
    assert [outcome.ledger["nfe"] for outcome in results[0].outcomes] == [4, 8]


VALUES = {
    "None": lambda image, particles: None,
    "a list of 2 (advance(...))": lambda image, particles: [advance(particles), advance(particles)],
    "a list of 1 (a particle)": lambda image, particles: particles,
    "a particle": lambda image, particles: particles[0],
    "a Tensor of shape [1, 4]": lambda image, particles: torch.zeros(1, 4),
    "a ndarray of shape [3]": lambda image, particles: np.zeros(3),
    "2.5": lambda image, particles: 2.5,
    "True": lambda image, particles: True,
    "a tuple of 2": lambda image, particles: (particles[0], 3.0),
}
"""Values that a search may wrongly yield or return, by what a sentence calls them."""


@pytest.mark.parametrize(("words", "value"), VALUES.items(), ids=VALUES)
def test_yield_of_what_is_no_request_is_refused(lab, words, value):
    def body(self, image):
        particles = yield advance(image.start())
        yield value(image, particles)

    assert f"image 0: yielded {words}; a search yields advance(...), reward(...) or numbers(...), one request" in told(
        lab, method(body)
    )


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (words, value)
        for words, value in VALUES.items()
        if words not in ("None", "a particle", "a list of 2 (advance(...))")
    ],
)
def test_return_of_what_is_no_particle_is_refused_at_the_line(lab, words, value):
    def body(self, image):
        particles = yield advance(image.start())
        yield reward(particles)
        return value(image, particles)  # RETURNS

    sentence = told(lab, method(body))
    assert sentence.startswith(
        f"{HERE}:{line_of('RETURNS')}: Climb, image 0: returned {words}; run returns one finished"
    )


def unscored(self, image):
    particles = yield advance(image.start())
    return particles[0]


def unclean(self, image):
    particles = yield advance(image.start(), to=image.grid[2])
    return particles[0]


def nothing(self, image):
    yield advance(image.start())


def guesses(self, image):
    yield reward(image.start())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (unscored, r"returned an image that was never scored by yield reward\(\[image\]\)"),
        (unclean, "returned a particle at Level.* which is not clean; run returns one finished particle"),
        (nothing, r"ended at a cap of inf NFE with no image: .* once yield reward\(images\) has scored them"),
        (guesses, "ended at a cap of inf NFE with no image"),
    ],
)
def test_result_must_be_a_finished_and_rewarded_particle(lab, body, words):
    assert re.search(words, told(lab, method(body)))


def test_return_of_a_particle_of_another_image_is_refused(lab):
    best = []

    def body(self, image):
        particles = yield advance(image.start())
        yield reward(particles)
        best.extend(particles)
        return best[0]

    assert "image 1: returned a particle of another image" in told(lab, method(body), images=2)


ARGUMENTS = {
    "to=2": (
        lambda image, ps: advance(ps, to=2),
        r"advance got to=2; it takes a level, .*image.grid\[2\] is the level",
    ),
    "to=0.5": (lambda image, ps: advance(ps, to=0.5), r"advance got to=0.5; .*image.level\(0.5\) that at half of"),
    "to=clean": (lambda image, ps: advance(ps, to="clean"), r"advance got to='clean'; .*image.grid\[-1\] is clean"),
    "to=[2]": (lambda image, ps: advance(ps, to=[2]), r"advance got to=a list of 1 \(2\)"),
    "slice": (lambda image, ps: advance(ps, to=image.grid[1:3]), "got 1 particles and 2 levels; give one each"),
    "steps=0": (lambda image, ps: advance(ps, steps=0), "advance got steps=0; it is a whole number of at least 1"),
    "steps=2.5": (lambda image, ps: advance(ps, steps=2.5), "advance got steps=2.5; it is a whole number"),
    "steps=True": (lambda image, ps: advance(ps, steps=True), "advance got steps=True"),
    "noise number": (lambda image, ps: advance(ps, noise=0.5), r"advance\(noise=\) got 0.5; it takes a flat list"),
    "noise array": (lambda image, ps: advance(ps, noise=np.zeros(1)), r"got a ndarray of shape \[1\]; it takes a flat"),
    "noise count": (lambda image, ps: advance(ps, noise=image.noise(2)), "1 particles and 2 noises; give one each"),
    "one particle": (
        lambda image, ps: advance(ps[0]),
        r"advance got a particle; it takes a flat list .* advance\(\[par",
    ),
    "nested": (
        lambda image, ps: advance([ps, ps]),
        r"advance got a list of 2 \(a list of 1 \(a particle\)\); it takes a",
    ),
    "tensor": (lambda image, ps: reward(torch.zeros(2, 4)), r"reward got a Tensor of shape \[2, 4\]; it takes a flat"),
    "None": (lambda image, ps: reward(None), "reward got None; it takes a flat list"),
    "of": (lambda image, ps: reward(ps, of="x"), "reward got of='x'; it is 'own' or 'before'"),
    "by": (lambda image, ps: reward(ps, by="x"), "reward got by='x'; it is 'select' or 'guide'"),
    "by guide": (lambda image, ps: reward(ps, by="guide"), "by='guide', and the verifiers of this run are: select"),
    "upwards": (lambda image, ps: advance([ps[0]], to=image.grid[0]), "must be less noisy"),
    "start": (lambda image, ps: image.start(2.0), "image.start got n=2.0; it is a whole number of at least 0"),
    "start -1": (lambda image, ps: image.start(-1), "image.start got n=-1"),
    "move list": (
        lambda image, ps: image.move(image.start(), Rotate(0.9)),
        r"image.move got a list of 1 \(a particle\)",
    ),
    "move number": (
        lambda image, ps: image.move(image.start()[0], 0.9),
        r"image.move got a particle and 0.9; .*Rotate",
    ),
    "renoise": (lambda image, ps: image.renoise(ps, to=1), "image.renoise got to=1; it takes a level"),
    "renoise one": (lambda image, ps: image.renoise(ps[0], to=image.grid[0]), "image.renoise got a particle; it takes"),
    "jitter": (lambda image, ps: image.jitter(ps, -1.0), "image.jitter got std=-1.0; it is a number of at least 0"),
    "level": (lambda image, ps: image.level(3), "image.level got 3; it takes a share"),
    "cost": (lambda image, ps: image.cost(0), "image.cost got to=0; it takes a level"),
}


@pytest.mark.parametrize(("call", "words"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_verb_refuses_what_it_cannot_take_at_the_line(lab, call, words):
    def body(self, image):
        particles = yield advance(image.start(), to=image.grid[2])
        yield call(image, particles)  # CALLS

    sentence = told(lab, method(body))
    assert re.search(rf": Climb, image 0: .*{words}", sentence)
    assert f'File "{HERE}", line {line_of("CALLS")}, in body' in sentence


def fails(self, image):
    particles = yield advance(image.start())
    yield from helper(image, particles)


def helper(image, particles):
    yield reward(particles)
    np.stack([])  # fails


def test_error_in_a_search_is_told_with_the_authors_part_of_its_traceback(lab):
    sentence = told(lab, method(fails), images=100)
    assert sentence.startswith(f"{HERE}:{line_of('fails')}: Climb, image 0: raised ValueError: need at least one array")
    assert "in fails\n    yield from helper(image, particles)" in sentence
    assert "its/engine" not in sentence
    assert sentence.count("raised") == 1


def assigns(self, image):
    yield reward((yield advance(image.start())))
    self.count = 1  # assigns


def appends(self, image):
    particles = yield advance(image.start())
    self.archive.append((yield reward(particles)))  # appends


def forces(self, image):
    yield reward((yield advance(image.start())))
    object.__setattr__(self, "seen", image.problem.index)  # forces


def counts_on_the_class(self, image):
    yield reward((yield advance(image.start())))
    type(self).total += 1  # counts on the class


def test_state_on_the_search_is_refused_by_the_name_of_the_attribute(lab):
    def at(text, name):
        return f"{HERE}:{line_of(text)}: Climb, image 0: kept something in {name}; one search makes every image"

    field_of = {"__annotations__": {"archive": list}, "archive": field(default_factory=list)}
    assert told(lab, method(appends, **field_of)).startswith(at("appends", "archive"))
    assert told(lab, method(appends, archive=[])).startswith(at("appends", "archive"))
    assert told(lab, method(forces)).startswith(at("forces", "seen"))
    assert told(lab, method(counts_on_the_class, total=0)).startswith(at("counts on the class", "total"))
    assert f"{line_of('assigns')}: Climb, image 0: raised FrozenInstanceError" in told(lab, method(assigns))
    assert FrozenInstanceError.__name__ in told(lab, method(assigns))


def test_state_of_a_search_may_hold_what_is_computed_once_and_lists_that_stay(lab):
    def body(self, image):
        assert self.table == 6
        yield reward((yield advance(image.start())))

    table = cached_property(lambda self: sum(self.weights))
    table.__set_name__(Method, "table")
    search = method(body, weights=[1, 2, 3], table=table)
    assert len(list(lab.engine(DDIM(steps=4, eta=1.0)).run(search, (math.inf,), lab.problems(range(3))))) == 3


DRAWS = {
    "random": (random.random, "random"),
    "seed": (lambda: random.seed(5), "random"),
    "numpy": (lambda: np.random.randn(2), "numpy.random"),  # noqa: NPY002
    "torch": (lambda: torch.rand(1), "torch"),
}


@pytest.mark.parametrize(("draw", "name"), DRAWS.values(), ids=DRAWS)
def test_global_random_numbers_are_refused_at_the_line_where_the_search_stood(lab, draw, name):
    def body(self, image):
        particles = yield advance(image.start())  # STOOD
        draw()
        yield reward(particles)  # ONWARD

    sentence = told(lab, method(body))
    assert sentence.startswith(
        f"{HERE}:{line_of('STOOD')}: Climb, image 0: drew from {name} before line {line_of('ONWARD')}; a rerun would"
    )
    assert "draw from image.random, as image.random.uniform(n)" in sentence


def test_global_random_numbers_are_refused_in_whichever_image_and_before_the_first_yield(lab):
    def late(self, image):
        particles = yield advance(image.start())
        if image.problem.index >= 2 * WATCHED:
            random.random()
        yield reward(particles)  # LATE

    sentence = told(lab, method(late), images=4 * WATCHED, batch=16)
    assert re.match(
        rf"{HERE}:{line_of('LATE')}: Climb, image \d+: drew from random .*one of the \d+ images did", sentence
    )

    def early(self, image):
        np.random.seed(0)  # noqa: NPY002
        yield reward((yield advance(image.start())))  # EARLY

    assert told(lab, method(early)).split(": drew")[1].startswith(f" from numpy.random before line {line_of('EARLY')}")


def test_global_random_numbers_of_models_and_verifiers_are_not_the_searchs(lab):
    class Drawing:
        def reward(self, images, conditions):
            random.random()
            np.random.rand()  # noqa: NPY002
            return torch.rand(len(images))

    def body(self, image):
        image.random.normal(3)
        yield reward((yield advance(image.start(3))))

    engine = lab.engine(DDIM(steps=4, eta=1.0), verifier=Drawing())
    assert len(list(engine.run(method(body), (math.inf,), lab.problems(range(2 * WATCHED))))) == 2 * WATCHED


def test_watched_runs_are_all_of_a_smoke_run():
    assert WATCHED >= IMAGES * CAPS


def endless(self, image):
    particles = yield advance(image.start())
    while True:
        yield reward(particles)  # endless


def stubborn(self, image):
    while True:
        with suppress(OutOfBudget):
            yield reward((yield advance(image.start())))


def test_search_that_gets_free_replies_without_end_is_ended(lab):
    sentence = told(lab, method(endless, anytime=True), caps=(4, 8))
    assert sentence.startswith(
        f"{HERE}:{line_of('endless')}: Climb, image 0: got {MOST_FREE} replies in a row that cost"
    )
    assert "asks for something new in every round of a loop, or it returns" in sentence
    assert f"got {MOST_FREE} replies in a row" in told(lab, method(stubborn), caps=(8,))


def test_search_that_catches_its_own_end_is_refused(lab):
    def body(self, image):
        while True:
            try:
                yield advance(image.start())
            except:  # noqa: E722
                yield advance(image.start())  # CATCHES

    engine = lab.engine(DDIM(steps=4, eta=1.0))
    image = Image(Problem(0), 0, engine.prices, Ledger(), anytime=False, shape=(1, 4, 4))
    coroutine = SearchCoroutine(method(body), image)
    coroutine.send(None)
    with pytest.raises(ValueError, match=rf"{HERE}:{line_of('CATCHES')}: Climb, image 0: caught its own end here"):
        coroutine.close()


class Bare(Search):
    """No decorator."""

    def run(self, image):
        yield reward((yield advance(image.start())))


@dataclass
class Thawed(Search):
    def run(self, image):
        yield reward((yield advance(image.start())))


@dataclass(frozen=True)
class Alone:
    def run(self, image):
        yield reward((yield advance(image.start())))


class Wider(Method):
    share: float = 0.5

    def run(self, image):
        yield reward((yield advance(image.start())))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Bare, r"is no dataclass, .*write @dataclass\(frozen=True\) above it"),
        (Wider, "is no dataclass"),
        (Thawed, "is not frozen, and one search makes every image"),
        (Alone, "does not inherit its.Search, which has minimum, sized_for"),
    ],
)
def test_require_search_names_the_class_and_its_line(lab, kind, words):
    with pytest.raises(ValueError, match=rf"^{HERE}:\d+: search {kind.__name__} {words}"):
        list(lab.engine(DDIM(steps=4, eta=1.0)).run(kind(), (math.inf,), [Problem(0)]))


def test_search_needs_neither_minimum_nor_sized_for(lab):
    @dataclass(frozen=True)
    class Least(Search):
        def run(self, image):
            yield reward((yield advance(image.start())))

    assert Least().minimum(7) == 7
    [result] = lab.engine(DDIM(steps=4, eta=1.0)).run(Least(), (5, 9), [Problem(0, 1)])
    assert [outcome.ledger["nfe"] for outcome in result.outcomes] == [4, 4]


def test_sized_for_must_return_a_search(lab):
    forgetful = method(unscored, sized_for=lambda self, nfe, image: None)
    assert "sized_for of Climb returned NoneType; it returns the search sized for a cap" in told(
        lab, forgetful, caps=(8,)
    )


class Plain:
    """A verifier that inherits nothing and says nothing of itself."""

    def reward(self, images, conditions):
        return images.flatten(1).mean(dim=1)


def test_verifier_that_does_not_say_is_absolute(lab):
    class Inheriting(Verifier):
        def reward(self, images, conditions):
            return images.flatten(1).mean(dim=1)

    for kind in (Plain, Inheriting):
        assert is_absolute(kind()) is is_absolute(kind) is True
        assert members_of(kind()) == ()
        lab.results(lab.engine(DDIM(steps=4, eta=1.0), verifier=kind()), method(unscored, makes="grids"), (4,), [0])
    both = {"a": Plain(), "b": Inheriting()}
    assert ZScore(both, {"a": (0.0, 1.0), "b": (0.0, 1.0)}).reward(torch.ones(2, 1, 4, 4), [0, 0]).tolist() == [
        1.0,
        1.0,
    ]


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"reward": None}, r"has no method reward\(images, conditions\)"),
        ({"absolute": "yes"}, "says absolute = 'yes'; it is True, as where it is left out, or False"),
        ({"absolute": False}, "says absolute = False and has no members"),
    ],
)
def test_verifier_that_cannot_score_is_refused(lab, attributes, words):
    verifier = type("Mine", (Plain,), attributes)()
    with pytest.raises(ValueError, match=rf"verifier Mine {words}"):
        Engine(lab.denoiser(), DDIM(steps=4, eta=1.0), {"select": verifier}, seed=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rewards: rewards.tolist(), "returned a list for 32 images"),
        (lambda rewards: rewards.numpy(), "returned a ndarray for 32 images"),
        (lambda rewards: rewards[:, None], r"returned rewards of shape \[32, 1\] and torch.float64"),
        (lambda rewards: rewards.mean(), r"returned rewards of shape \[\] and"),
        (lambda rewards: rewards.bfloat16(), r"returned rewards of shape \[32\] and torch.bfloat16"),
        (lambda rewards: None, "returned a NoneType"),
    ],
)
def test_rewards_of_another_kind_are_refused_with_the_verifiers_name(lab, change, words):
    verifier = type("Mine", (Plain,), {"reward": lambda self, images, conditions: change(images.flatten(1).mean(1))})()
    engine = lab.engine(DDIM(steps=4, eta=1.0), verifier=verifier)
    body = lambda self, image: (yield reward((yield advance(image.start()))))  # noqa: E731
    with pytest.raises(ValueError, match=rf"verifier Mine {words}.* expected is a tensor of shape \[32\]"):
        list(engine.run(method(body), (math.inf,), [Problem(0, 1)]))
