"""Paired differences against other people's intervals and a bootstrap."""

import numpy as np
import pytest
from safetensors.numpy import save
from scipy import stats

from its.disk.store import Store
from its.metric.features import Features
from its.metric.fid import Fid, influence
from its.report.paired_differences import differences
from its.report.runs import load_runs
from its.report.series import series_of

N = 600


@pytest.fixture
def make_run(write_run, rows_of):
    """Write a run whose images, not only its curve, are on disk: rewards and what each adds to FID at four caps."""

    def make(search, rewards, fids=None, said=None, seed=0):
        rows = rows_of(search, "classifier", seed, N)
        for cap, row in enumerate(rows):
            row["reward_mean"] = float(rewards[:, cap].mean())
            row["fid"] = float(fids[cap]) if fids is not None else row["fid"]
        folder = write_run(search, seed=seed, images=N, rows=rows)
        for first in (0, 400):
            part = {"reward": rewards[first : first + 400], "images": np.zeros((1, 1, 1, 1), np.uint8)}
            Store(folder).write(f"shards/{first:08d}.safetensors", part)
        if said is not None:
            (folder / "per_image.safetensors").write_bytes(save({"fid": said.astype(np.float32)}))

    return make


def found(tmp_path, column):
    folder = tmp_path / "demo"
    series = series_of(load_runs(folder))
    return [one for one in differences(folder, series) if one.column == column]


def test_paired_differences_of_reward_equal_the_paired_t_test(make_run, tmp_path):
    random = np.random.default_rng(0)
    shared = random.normal(size=(N, 4)) * 5
    ours, theirs = shared + random.normal(size=(N, 4)) + 0.3, shared + random.normal(size=(N, 4))
    make_run("zero_order", ours)
    make_run("random", theirs)
    results = found(tmp_path, "reward_mean")
    assert [one.cap.value for one in results] == [5, 10, 20, 40]
    for cap, one in enumerate(results):
        expected = stats.ttest_rel(ours[:, cap], theirs[:, cap]).confidence_interval(0.95)
        assert (one.low, one.high) == pytest.approx((expected.low, expected.high), abs=2e-3)
        assert one.high - one.low < 0.3, "what both share cancels; unpaired it would be 1.1"
        assert (one.pairs, one.seeds) == (N, 1)


def test_paired_differences_average_the_shared_seeds(make_run, tmp_path):
    random = np.random.default_rng(0)
    parts = {(search, seed): random.normal(size=(N, 4)) for search in ("beam", "random") for seed in (0, 1)}
    for (search, seed), rewards in parts.items():
        make_run(search, rewards, seed=seed)
    make_run("random", random.normal(size=(N, 4)), seed=2)
    both = [stats.ttest_rel(parts["beam", seed][:, 1], parts["random", seed][:, 1]) for seed in (0, 1)]
    ends = [interval.confidence_interval(0.95) for interval in both]
    one = found(tmp_path, "reward_mean")[1]
    half = np.sqrt(sum((end.high - end.low) ** 2 / 4 for end in ends)) / 2
    assert one.value == pytest.approx(np.mean([(end.low + end.high) / 2 for end in ends]))
    assert (one.high - one.low) / 2 == pytest.approx(half, rel=3e-3)
    assert (one.pairs, one.seeds) == (2 * N, 2)


def test_paired_differences_of_fid_agree_with_a_bootstrap(make_run, tmp_path):
    random = np.random.default_rng(0)
    shared = random.normal(size=(N, 3))
    logits, labels = np.zeros((N, 2), np.float32), np.zeros(N, np.int64)
    sets = [
        Features((shared + random.normal(size=(N, 3)) * 0.6 + shift).astype(np.float32), logits, labels)
        for shift in (0.8, 0.6)
    ]
    target = Features(
        random.normal(size=(4000, 3)).astype(np.float32), np.zeros((4000, 2), np.float32), np.zeros(4000, np.int64)
    ).moments
    for search, one in zip(("zero_order", "random"), sets, strict=True):
        said = np.repeat(influence(one.features, one.moments, target)[:, None], 4, axis=1)
        make_run(search, np.zeros((N, 4)), [Fid()(one, target)["fid"]] * 4, said)
    drawn = []
    for _ in range(400):
        rows = random.integers(0, N, N)
        again = [Fid()(Features(one.features[rows], logits, labels), target)["fid"] for one in sets]
        drawn.append(again[0] - again[1])
    one = found(tmp_path, "fid")[0]
    assert (one.high - one.low) / 2 == pytest.approx(1.96 * np.std(drawn), rel=0.15)
    unpaired = 1.96 * np.hypot(*(Fid()(one, target)["fid_se"] for one in sets))
    assert (one.high - one.low) / 2 < 0.8 * unpaired


def test_paired_differences_leave_out_runs_without_a_pair(make_run, write_run, tmp_path):
    make_run("random", np.zeros((N, 4)))
    write_run("beam", images=N)
    write_run("beam", "null", images=N)
    assert not differences(tmp_path / "demo", series_of(load_runs(tmp_path / "demo")))
