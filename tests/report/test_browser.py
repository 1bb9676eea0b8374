"""The page of a hundred runs: what a browser makes of it."""

import json
import re
import resource
import shutil
import subprocess
import time
from html import escape

import numpy as np
import pytest
from safetensors.numpy import save

from its.report.report import make_report
from its.report.strips import PROBLEMS
from tests.report.conftest import writer

pytestmark = pytest.mark.long

SEARCHES = ("none", "more_steps", "random", "zero_order", "bfs_resample", "paths", "ses", "svdd", "beam", "fk")
IMAGES, CAPS = 1000, 4
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def write_images(folder, seed):
    """What a run of 32 x 32 images leaves beside its curve, as far as the report reads it."""
    random = np.random.default_rng(seed)
    (folder / "shards").mkdir()
    rows = 250
    for first in range(0, IMAGES, rows):
        (folder / "shards" / f"{first:08d}.safetensors").write_bytes(
            save(
                {
                    "images": random.integers(0, 256, (PROBLEMS * CAPS, 32, 32, 3), dtype=np.uint8),
                    "pick": np.arange(rows * CAPS).reshape(rows, CAPS),
                    "label": np.arange(first, first + rows) % 10,
                    "reward": random.normal(size=(rows, CAPS)),
                }
            )
        )
    (folder / "per_image.safetensors").write_bytes(
        save({name: random.normal(size=(IMAGES, CAPS)).astype(np.float32) for name in ("fid", "accuracy")})
    )


@pytest.fixture(scope="module")
def hundred(tmp_path_factory):
    """The report of a hundred runs of two models on two datasets, and the processor's seconds that it took."""
    parent = tmp_path_factory.mktemp("hundred")
    write = writer(parent)
    for k, search in enumerate(SEARCHES):
        for seed in range(10):
            where = {"model": "digits"} if seed == 9 else {"dataset": "mixture"} if seed == 8 else {}
            write_images(write(search, seed=seed, **where), [k, seed])
    started = time.process_time()
    make_report(parent / "demo")
    return parent / "demo" / "report" / "index.html", time.process_time() - started


def asked(page, question, width=1200):
    """What an expression says of `document`: the page, open in Chromium in a frame of this width."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    frame = page.with_name(f"frame-{width}.html")
    frame.write_text(
        f"""<!doctype html><meta charset="utf-8"><title></title><script>
        const ask = (document) => {question};
        addEventListener("load", () => {{ document.title = JSON.stringify(ask(frames[0].document)); }});
        </script><iframe width="{width}" height="900" srcdoc="{escape(page.read_text(encoding="utf-8"))}"></iframe>""",
        encoding="utf-8",
    )
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"file://{frame}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(re.search("<title>(.*?)</title>", done.stdout)[1])


def test_report_page_opens_laid_out_in_chromium(hundred, tmp_path):
    """With `-s` it says what building and opening took."""
    (tmp_path / "empty.html").write_text("<!doctype html><title></title>")
    spent = []
    for page in (tmp_path / "empty.html", hundred[0]):
        before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        height = asked(page, "document.body.getBoundingClientRect().height")
        spent.append(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before)
    print(f"built in {hundred[1]:.1f} s of one core, opened in {spent[1] - spent[0]:.1f} s of Chromium's processes")
    assert height > 5000


@pytest.mark.parametrize("width", [1200, 400])
def test_report_page_is_not_wider_than_the_window(hundred, width):
    inner = "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    visible, needed = asked(hundred[0], inner, width)
    assert width - 20 <= visible <= width, "but for a scroll bar"
    assert needed == visible


def test_report_page_filters_hide_only_the_unselected(hundred):
    chosen = """(() => {
        const seen = (what) => [...document.querySelectorAll(what)].filter((part) => part.getClientRects().length);
        const sections = () => seen("section").map((part) => part.dataset.dataset + " " + part.dataset.model);
        const methods = () => [...new Set(seen("section [data-method]").map((part) => part.dataset.method))].sort();
        const set = (id, value) => { const select = document.getElementById(id); select.value = value;
            select.dispatchEvent(new Event("change")); };
        const answers = [sections(), methods()];
        set("dataset", "mixture"); answers.push(sections());
        set("dataset", ""); set("model", "digits–ddim"); answers.push(sections());
        set("model", ""); document.getElementById("no").click(); answers.push(methods());
        document.querySelector("input[value=beam]").click(); answers.push(methods());
        document.getElementById("all").click(); answers.push(methods());
        return answers; })()"""
    everything, all_methods, mixture, model, none, beam, again = asked(hundred[0], chosen)
    usual = "digits_unconditional–ddim"
    assert set(everything) == {"digits digits–ddim", f"digits {usual}", f"mixture {usual}"}
    assert mixture == [f"mixture {usual}"]
    assert model == ["digits digits–ddim"]
    assert all_methods == again == sorted(SEARCHES)
    assert (none, beam) == ([], ["beam"])
