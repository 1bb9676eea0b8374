import math

import pytest

from its.dataset.mixture import Mixture
from its.model.mixture import MixtureDenoiser
from its.particles.image import Image
from its.particles.verbs import Look
from its.sampler.ddim import DDIM
from its.search.lidar import LiDAR
from its.search.none import NoSearch
from tests.build import blueprint_of
from tests.search.trace import Always, Scripted, outcome_of, traced

ANCESTRAL = DDIM(steps=10, eta=1.0)


class Extreme:
    """Infinite for bright images, minus infinity for dark ones."""

    absolute = True

    def reward(self, images, conditions):
        return images.double().mean((1, 2, 3)) * math.inf


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize(
    ("search", "verifier"),
    [
        (LiDAR(samples=0), None),
        (LiDAR(samples=7, scale=0.0), None),
        (LiDAR(samples=7, strength=0.0), None),
        (LiDAR(samples=7, strength=0.0), Extreme()),
        (LiDAR(samples=7, end=1.0), None),
        (LiDAR(samples=7), Always(-math.inf)),
    ],
    ids=["no samples", "scale 0", "strength 0", "strength 0 times infinity", "end 1", "all -inf"],
)
def test_lidar_without_a_pull_is_plain_sampling(lab, search, verifier, eta):
    sampler = DDIM(steps=10, eta=eta)
    plain = outcome_of(lab, NoSearch(), sampler, verifier)
    found = outcome_of(lab, search, sampler, verifier)
    assert (found.image.tobytes(), found.reward) == (plain.image.tobytes(), plain.reward)


@pytest.mark.parametrize(
    ("sampler", "scale", "caps", "spent"),
    [
        (ANCESTRAL, 1.0, (10, 14, 15, 57), [10, 10, 15, 55]),
        (ANCESTRAL, 2.0, (20, 29, 30, 57), [20, 20, 30, 50]),
        (DDIM(steps=3, eta=0.0), 1.0, (3, 6, 10), [3, 6, 9]),
    ],
    ids=["ten steps", "guided", "no more steps than a sampling has"],
)
def test_lidar_buys_samples_beside_one_sampling(lab, sampler, scale, caps, spent):
    engine = lab.engine(sampler, lab.denoiser(scale=scale))
    outcomes = lab.results(engine, LiDAR(), caps, [0])[0].outcomes
    assert [outcome.ledger["nfe"] for outcome in outcomes] == spent


def test_lidar_spends_every_verifier_call(lab):
    outcomes = lab.results(lab.engine(ANCESTRAL), LiDAR(), (1, 2, 7), [0], "verifier_calls")[0].outcomes
    assert [(o.ledger["verifier_calls"], o.ledger["nfe"]) for o in outcomes] == [(1, 10), (2, 15), (7, 40)]


@pytest.mark.parametrize(("end", "pulled"), [(0.0, 10), (0.2, 8), (0.5, 5)])
def test_lidar_pulls_above_a_share_of_the_time(lab, end, pulled):
    log: list = []
    search = LiDAR(strength=0.05, end=end, samples=3)
    outcome_of(lab, lab.script(traced(search, log)), ANCESTRAL)
    assert sum(isinstance(request, Look) for request, _ in log) == 1 + pulled


def test_lidar_returns_its_own_sampling_and_keeps_every_candidate(lab):
    """However much better a sample is; what is noted is noted of the result alone."""
    engine = lab.engine(ANCESTRAL, None, Scripted(lambda call: -float(call)), batch=1, keep_candidates=True)
    result = lab.results(engine, LiDAR(samples=3), (math.inf,), [0])[0]
    rewards = [candidate.reward for candidate in result.candidates]
    assert len(rewards) == 4
    assert result.outcomes[0].reward == rewards[-1] == min(rewards)
    assert [bool(candidate.notes) for candidate in result.candidates] == [False, False, False, True]
    assert result.outcomes[0].notes == result.candidates[-1].notes


def test_lidar_weighs_only_the_samples_of_the_highest_reward_if_that_is_infinitely_better(lab):
    one = Scripted(lambda call: 0.0 if call == 2 else -math.inf)
    for verifier, least, most in ((one, 1, 1), (Extreme(), 1, 4)):
        engine = lab.engine(ANCESTRAL, None, verifier, batch=1)
        [outcome] = lab.results(engine, LiDAR(samples=5), (math.inf,), [0])[0].outcomes
        assert least <= outcome.notes["effective_samples"] <= most


class Linear:
    """A slope times the pixel."""

    absolute = True
    slope = 1.5

    def reward(self, images, conditions):
        return self.slope * images.double().flatten(1).sum(1)

    def tilted(self, mean, variance):
        """Mean and variance of N(mean, variance) times the exponential of the reward."""
        return mean + self.slope * variance, variance


class Quadratic(Linear):
    """A parabola around a pixel of `top`."""

    curvature, top = 10.0, 0.8

    def reward(self, images, conditions):
        return -0.5 * self.curvature * (images.double().flatten(1).sum(1) - self.top) ** 2

    def tilted(self, mean, variance):
        precision = 1 / variance + self.curvature
        return (mean / variance + self.curvature * self.top) / precision, 1 / precision


@pytest.mark.parametrize("verifier", [Linear(), Quadratic()], ids=["linear", "quadratic"])
def test_lidar_guesses_the_mean_of_the_tilted_posterior(lab, verifier, monkeypatch):
    """One Gaussian of one pixel: at scale 1, with samples of as many steps, within the error of so many samples."""
    data, proposed, log = Mixture(classes=1, size=1, std=0.5), [], []
    propose = Image.propose

    def spy(image, particles, x0):
        proposed.append((particles[0].level, float(x0[0].ravel()[0])))
        return propose(image, particles, x0)

    monkeypatch.setattr(Image, "propose", spy)
    search = LiDAR(strength=1.0, scale=1.0, steps=40, samples=4000)
    engine = lab.engine(DDIM(steps=40, eta=0.0), MixtureDenoiser(data), verifier, batch=1024, rows=32768)
    lab.results(engine, lab.script(traced(search, log)), (math.inf,), range(1))
    views = [reply[0] for request, reply in log if isinstance(request, Look)][1:]
    assert len(views) == len(proposed) == 32
    pulls = []
    for seen, (level, x0) in zip(views, proposed, strict=True):
        [[mean]] = data.means
        variance = 1 / (1 / data.std**2 + (level.alpha / level.sigma) ** 2)
        posterior = variance * (mean / data.std**2 + level.alpha / level.sigma**2 * seen.x.item())
        assert seen.x0.item() == pytest.approx(posterior)
        expected, spread = verifier.tilted(posterior, variance)
        error = 4.5 * math.sqrt((variance + spread) / 1000)  # a quarter of the samples count
        assert abs(x0 - expected) < error
        pulls.append(abs(expected - posterior) / error)
    assert max(pulls) > 3


def test_lidar_refuses_what_it_cannot_be(tmp_path):
    with pytest.raises(ValueError, match=r"search\.steps is 0; it is steps"):
        LiDAR(steps=0)
    for name in ("strength", "scale", "end", "samples"):
        with pytest.raises(ValueError, match=rf"search\.{name} is -1"):
            LiDAR(**{name: -1})
    with pytest.raises(ValueError, match=r"guidance=tfg takes .* LiDAR puts"):
        blueprint_of(tmp_path, "search=lidar", "guidance=tfg")
