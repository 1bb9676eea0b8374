"""The running FID against recomputing from scratch: by a matrix root, and by torch-fidelity's own function."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from torch_fidelity.metric_fid import fid_statistics_to_metric

from its.metric.features import Moments
from its.metric.running_fid import RunningFid


def real(rng: np.random.Generator, width: int, decay: float = 1.0) -> np.ndarray:
    """Features of real images, along axes of their own, each axis `decay` times as wide as the one before."""
    turn = np.linalg.qr(rng.standard_normal((width, width)))[0]
    return (rng.standard_normal((6 * width, width)) * decay ** np.arange(width)) @ turn + 0.5


def by_matrix_root(rows: np.ndarray, reference: Moments) -> float:
    mean, covariance = rows.mean(axis=0), np.cov(rows, rowvar=False)
    root = sqrtm(covariance @ reference.covariance)
    trace = np.trace(covariance) + np.trace(reference.covariance) - 2 * np.trace(root.real)
    return float(np.sum((mean - reference.mean) ** 2) + trace)


def by_rows(rows: np.ndarray, others: np.ndarray) -> float:
    """FID without any covariance, exact also where that lacks rank: tr (SR)^½ is the nuclear norm of X Yᵀ."""
    x, y = ((each - each.mean(axis=0)) / np.sqrt(len(each) - 1) for each in (rows, others))
    shift = rows.mean(axis=0) - others.mean(axis=0)
    return float(np.sum(shift**2) + np.sum(x**2) + np.sum(y**2) - 2 * np.linalg.norm(x @ y.T, ord="nuc"))


def test_running_fid_equals_recomputing_by_a_matrix_root_and_by_torch_fidelity():
    """Every set of more images than features, up to several blocks: each of three candidates, and the one taken."""
    rng = np.random.default_rng(0)
    others, width = real(rng, 12), 12
    reference, running, rows = Moments.of(others), RunningFid(Moments.of(others)), []
    statistics = {"mu": reference.mean, "sigma": reference.covariance}
    for image in range(40):
        candidates = 1.3 * rng.standard_normal((3, width)).astype(np.float32) + 0.2
        fids = running.with_each(candidates)
        for candidate, fid in zip(candidates, fids, strict=True):
            whole = np.array([*rows, candidate], dtype=np.float64)
            if image > width + 2:
                own = {"mu": whole.mean(axis=0), "sigma": np.cov(whole, rowvar=False)}
                theirs = fid_statistics_to_metric(own, statistics, False)["frechet_inception_distance"]
                assert fid == pytest.approx(by_matrix_root(whole, reference), abs=1e-8)
                assert fid == pytest.approx(theirs, abs=1e-8)
        running.add(candidates[image % 3])
        rows.append(candidates[image % 3])


@pytest.mark.parametrize(("width", "decay"), [(16, 1.0), (24, 0.6)])
def test_running_fid_of_sets_that_lack_rank_equals_that_of_their_rows(width, decay):
    """From two images on, with an image that is there already, and axes over six decades."""
    rng = np.random.default_rng(1)
    others = real(rng, width, decay)
    running, rows = RunningFid(Moments.of(others)), []
    for image in range(2 * width):
        candidates = others[rng.integers(len(others), size=2)] + 0.1 * rng.standard_normal((2, width)) * decay**width
        taken = rows[image // 2] if image % 5 == 4 else candidates[0]
        fids = running.with_each(np.stack([taken, candidates[1]]))
        if image:
            for row, fid in zip((taken, candidates[1]), fids, strict=True):
                assert fid == pytest.approx(by_rows(np.array([*rows, row]), others), abs=1e-8), image
        running.add(taken)
        rows.append(taken)


def test_running_fid_of_one_image_is_its_distance_and_the_spread_of_the_reference():
    rng = np.random.default_rng(2)
    reference = Moments.of(real(rng, 5))
    rows = rng.standard_normal((4, 5))
    expected = np.sum((rows - reference.mean) ** 2, axis=1) + np.trace(reference.covariance)
    np.testing.assert_allclose(RunningFid(reference).with_each(rows), expected, rtol=1e-12)


def test_running_fid_does_not_depend_on_how_many_candidates_are_looked_at_together():
    rng = np.random.default_rng(3)
    running = RunningFid(Moments.of(real(rng, 9)))
    for row in rng.standard_normal((30, 9)):
        running.add(row)
    rows = rng.standard_normal((70, 9))
    alone = [running.with_each(row[None])[0] for row in rows]
    np.testing.assert_allclose(running.with_each(rows), alone, atol=running.tie / 10)
