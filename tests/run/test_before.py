"""A run of the version before December 2026, whose files of arrays are bare safetensors, is measured and extended."""

from hashlib import sha256

import pytest
from safetensors.numpy import save

from its.disk.run_folder import EDITED
from its.disk.sealed import sealed
from tests.build import arrays_in, make_experiment, numbers

WORDS = (
    "dataset=mixture",
    "model=mixture",
    "search=zero_order",
    "sampler.eta=0",
    "sampler.steps=3",
    "shard=10",
    "batch=16",
    "budget.samplings=[1,3]",
    "metric=fid",
)


def as_before(run):
    """Write a finished run's files as that version did, another source having made its images; return their bytes."""
    lines = []
    for path in sorted([*run.folder.glob("shards/*"), *run.folder.glob("features/*/*")]):
        name, content = path.relative_to(run.folder).as_posix(), save(arrays_in(path))
        source = "0" * 12 if name.startswith("shards/") else run.files.store.source(name)
        path.write_bytes(content)
        entry = {"file": name, "sha256": sha256(content).hexdigest(), "bytes": len(content), "source": source}
        lines.append(sealed(entry))
    run.files.manifest.write_text("".join(lines))
    run.files.summary.unlink()
    return {path: path.read_bytes() for path in run.folder.glob("shards/*")}


def test_a_run_of_before_is_measured_again_and_extended(lab, tmp_path):
    run, whole, longer = (
        make_experiment(tmp_path / name, *WORDS, f"images={images}")
        for name, images in (("old", 20), ("whole", 20), ("longer", 30))
    )
    for each in (run, whole, longer):
        each.run()
    before = as_before(run)
    with pytest.raises(ValueError, match="were made by another source"):
        make_experiment(tmp_path / "old", *WORDS, "images=20").run()

    # Measure it, then extend it; the numbers are those of a run of today, and its shards stay.
    for images, expected in ((20, whole), (30, longer)):
        again = make_experiment(tmp_path / "old", *WORDS, f"images={images}", "allow_edited=true")
        again.run()
        rows = numbers(again.folder)
        assert [row.pop(EDITED) for row in rows] == ["1", "1"]
        assert rows == numbers(expected.folder)
    assert {path: path.read_bytes() for path in before} == before
