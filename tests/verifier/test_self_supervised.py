"""The self-supervised verifier: what it compares, what it is made of, and which searches and scripts refuse it."""

import re

import pytest
import torch

from its.classifier import digits
from its.dataset.mixture import Mixture
from its.rerun.finished_run import FinishedRun
from its.rerun.rescoring import Rescoring, words
from its.verifier.self_supervised import SelfSupervised
from its.verifier.verifier import require_verifier
from tests.build import SMALL, blueprint_of, contents, make_experiment, numbers
from tests.contract.conftest import SEARCHES
from tests.rerun.test_render import render

VERIFIER = "verifier=self_supervised"


class Pixels:
    def features(self, images):
        return images


def test_self_supervised_is_the_cosine_of_both():
    images, guesses = torch.randn(2, 5, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rewards = SelfSupervised(Pixels()).reward(images, [None] * 5, guesses)
    flat, other = images.flatten(1), guesses.flatten(1)
    torch.testing.assert_close(rewards, (flat * other).sum(1) / (flat.norm(dim=1) * other.norm(dim=1)))
    torch.testing.assert_close(SelfSupervised(Pixels()).reward(images, [3] * 5, 2 * images), torch.ones(5).double())


@pytest.mark.parametrize("probe", [0.0, 1.0, -0.1, float("nan")])
def test_self_supervised_refuses_a_share_outside(probe):
    with pytest.raises(ValueError, match="it is a share of noise above 0 and below 1"):
        SelfSupervised(Pixels(), probe)
    verifier = SelfSupervised(Pixels())
    verifier.probe = probe
    with pytest.raises(ValueError, match="verifier SelfSupervised says probe"):
        require_verifier(verifier)


def test_self_supervised_refuses_a_network_without_features():
    with pytest.raises(ValueError, match=r"Mixture.logits has no method features\(images\).*self_supervised_dino"):
        SelfSupervised(Mixture().logits)


@pytest.mark.parametrize("name", sorted({name.partition("-")[0] for name in SEARCHES}))
def test_self_supervised_is_refused_by_searches_that_score_guesses(tmp_path, name):
    search = next(search for case, search in SEARCHES.items() if case.partition("-")[0] == name)
    words = [VERIFIER, f"search={name}", "sampler.eta=1"]
    if not search.scores_guesses and search.takes_gradients != "sampler":
        assert blueprint_of(tmp_path, *words, planning=True).work.nfe > 0
        return
    told = rf"verifier=self_supervised compares .*, and {type(search).__name__} scores guesses .*zero_order"
    with pytest.raises(ValueError, match=told):
        blueprint_of(tmp_path, *words, planning=True)


def test_self_supervised_is_refused_as_a_member_too(tmp_path):
    member = ["verifier=ensemble", "verifier@verifier.members.b=self_supervised", "sampler.eta=1"]
    with pytest.raises(ValueError, match=r"verifier=ensemble compares .* SVDD scores guesses"):
        blueprint_of(tmp_path, *member, "search=svdd", planning=True)
    one = ["verifier@verifier.members.a=self_supervised", "verifier.members.a.probe=0.3"]
    with pytest.raises(ValueError, match=r"different shares of noise \(a at 0.3, b at 0.4\)"):
        blueprint_of(tmp_path, *member, *one, planning=True)


def test_self_supervised_is_refused_where_paths_scores_before_its_level(tmp_path):
    with pytest.raises(ValueError, match=r"compares with the guess at time \d+, and Paths scores guesses at time \d+"):
        make_experiment(
            tmp_path, VERIFIER, "search=paths", "search.sigma=0.5", "search.forward=0.4", "search.backward=0.45"
        )


def test_self_supervised_names_those_that_bring_a_network(tmp_path):
    others = "choose self_supervised_clip or self_supervised_dino or self_supervised_siglip"
    with pytest.raises(ValueError, match=f"dataset imagenet256 brings none; {others}, or set"):
        blueprint_of(tmp_path, VERIFIER, "dataset=imagenet256", "model=dit_xl2", planning=True)


def test_self_supervised_is_refused_as_a_guide(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"verifier@guide=self_supervised compares .* gives no gradients on the way down; choose another",
    ):
        blueprint_of(tmp_path, "guidance=mpgd", "verifier@guide=self_supervised", planning=True)


HELD_OUT = {
    "alone": ["+verifier@report.looks=self_supervised"],
    "member": ["+verifier@report.looks=zscore", "verifier@report.looks.members.b=self_supervised"],
}


@pytest.mark.parametrize("held_out", HELD_OUT.values(), ids=HELD_OUT)
def test_self_supervised_is_refused_as_held_out(tmp_path, held_out):
    with pytest.raises(ValueError, match=r"verifier@report looks .* compares an image with a guess on the way to"):
        blueprint_of(tmp_path, *held_out, planning=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of best-of-N by it, with its candidates; without figures, which would take more time than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("its.report.figures.curve_figure", lambda *given: b"")
        options = ["images=6", "shard=4", "sampler.eta=0", *SMALL, "~metric.isc", "~metric.fid", "keep_candidates=true"]
        run = make_experiment(tmp_path_factory.mktemp("run"), VERIFIER, *options)
        run.run()
        yield run


def test_self_supervised_takes_the_features_of_the_dataset_s_classifier_and_not_the_judge_s(finished):
    selects = finished.engine.verifiers["select"].network
    assert isinstance(selects, digits.VerifierNet)
    assert isinstance(finished.instruments.extractor._network, digits.ReportNet)
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(selects.head(selects.features(images)), selects(images))


def test_self_supervised_run_is_resumed_to_the_byte(finished, tmp_path):
    before = contents(finished.folder)
    lost = sorted((finished.folder / "shards").iterdir())[0]
    lost.unlink()
    finished.run()
    assert contents(finished.folder) == before
    assert [row["verifier_calls"] for row in numbers(finished.folder)] == ["1.0", "2.0"]


@pytest.mark.parametrize("word", [VERIFIER, "verifier=self_supervised_dino"])
def test_self_supervised_rescores_no_candidates(finished, word):
    run = FinishedRun.of(finished.folder)
    blueprint = blueprint_of(finished.folder.parents[6], *words(run, [word]), planning=True)
    name = re.escape(word.partition("=")[2])
    with pytest.raises(ValueError, match=rf"verifier={name} compares .* and stored candidates have none"):
        Rescoring.of(run, blueprint)


def test_self_supervised_scores_renderings_by_their_own_guesses(finished):
    """The same sampler repeats images and rewards; another has a grid of its own."""
    words = ["batch=8", "~metric.kid", "~metric.prc", "~metric.isc", "~metric.fid"]
    same, other = render(finished, *words), render(finished, *words, "sampler.steps=7")
    for name in finished.files.shard_names:
        run, rendered = finished.files.store.read(name), same.files.store.read(name)
        assert (run["reward"] == rendered["reward"]).all()
        assert (other.files.store.read(name)["reward"] < 1).all()
    assert other.engine.probe.level != same.engine.probe.level
