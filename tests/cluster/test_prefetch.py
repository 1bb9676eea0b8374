"""What a job without a network would miss is named exactly; with one it is fetched to where the variables say."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from its.levels import Columns
from its.model import sd15
from its.process.source_tree import ROOT
from its.twins.sd15 import write

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = ROOT / "its" / "weights" / "digits" / "generator"


class Hub(BaseHTTPRequestHandler):
    """A hub that has one repository, someone/digits, in one commit."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        file = REPOSITORY / path.removeprefix(f"/someone/digits/resolve/{COMMIT}/")
        if path.startswith("/api/models/someone/digits/revision/"):
            self.answer(json.dumps({"id": "someone/digits", "sha": COMMIT}).encode())
        elif path == f"/api/models/someone/digits/tree/{COMMIT}":
            files = [
                {"type": "file", "path": entry.name, "size": entry.stat().st_size, "oid": "0"}
                for entry in REPOSITORY.iterdir()
            ]
            self.answer(json.dumps(files).encode())
        elif file.parent == REPOSITORY and file.is_file():
            content = file.read_bytes()
            self.answer(content, ETag=f'"{sha256(content).hexdigest()}"', **{"X-Repo-Commit": COMMIT})
        else:
            self.send_error(404)

    def answer(self, content: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Nothing."""


class PipelineHub(Hub):
    """A hub with the pipeline someone/tiny, laid out as stable-diffusion-v1-5 is, and with someone/gated."""

    folder: Path

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        file = self.folder / path.removeprefix(f"/someone/tiny/resolve/{COMMIT}/")
        if "/someone/gated" in path:
            self.send_response(401)
            self.send_header("X-Error-Code", "GatedRepo")
            self.end_headers()
        elif path.startswith("/api/models/someone/tiny/revision/"):
            self.answer(json.dumps({"id": "someone/tiny", "sha": COMMIT}).encode())
        elif path == f"/api/models/someone/tiny/tree/{COMMIT}":
            entries = [
                {"type": "file", "path": str(each.relative_to(self.folder)), "size": each.stat().st_size, "oid": "0"}
                for each in sorted(self.folder.rglob("*"))
                if each.is_file()
            ]
            self.answer(json.dumps(entries).encode())
        elif self.folder in file.parents and file.is_file():
            content = file.read_bytes()
            self.answer(content, ETag=f'"{sha256(content).hexdigest()}"', **{"X-Repo-Commit": COMMIT})
        else:
            self.send_error(404)


@contextmanager
def served(kind: type[Hub]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def hub() -> Iterator[str]:
    """The address of a hub on this machine."""
    with served(Hub) as address:
        yield address


def prefetch(*words: str, **environment: str) -> tuple[int, str]:
    usual = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "ITS_", "TORCH_"))}
    done = subprocess.run(
        [sys.executable, "scripts/prefetch.py", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**usual, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **environment},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("revision", ["", f"@{COMMIT}"])
def test_prefetch_fetches_missing_weights_of_the_hub(tmp_path: Path, hub: str, revision: str):
    words, home = f"model.weights=someone/digits{revision}", {"HF_HOME": str(tmp_path)}
    code, said = prefetch("--check", words, HF_ENDPOINT=hub, **home)
    assert code == 1
    assert f"missing  weights someone/digits{revision}: " in said
    assert said.endswith("1 jobs, 1 things missing\n")
    code, said = prefetch(words, HF_ENDPOINT=hub, **home)
    assert code == 0, said
    assert f"HF_HOME is {tmp_path}" in said
    assert list(tmp_path.rglob("*.safetensors"))
    code, said = prefetch("--check", words, **home)
    assert code == 0, said
    assert f"there    weights someone/digits{revision}" in said


def as_published(folder: Path) -> None:
    """Split a twin's tokenizer in two files, and add what is not loaded: other forms, other variants, other parts."""
    tokens = json.loads((folder / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer" / "tokenizer.json").unlink()
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(tokens))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    unet = folder / "unet" / "diffusion_pytorch_model.safetensors"
    for name in ("unet/diffusion_pytorch_model.fp16.safetensors", "v1-5-pruned.safetensors"):
        shutil.copy(unet, folder / name)
    for name in ("safety_checker/model.safetensors", "unet/diffusion_pytorch_model.bin"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"not loaded")


@pytest.mark.long
@pytest.mark.parametrize(("key", "variant"), [("null", ""), ("fp16", ".fp16")])
def test_prefetch_fetches_what_a_pipeline_names_in_one_variant(tmp_path: Path, key: str, variant: str):
    """It is then loaded and encodes, without a network, as the folder itself does."""
    write(str(tmp_path / "tiny"))
    as_published(tmp_path / "tiny")
    words = ("model=sd15", "model.weights=someone/tiny", f"model.weights_key={key}", "search=none", "budget=natural")
    kind = type("Tiny", (PipelineHub,), {"folder": tmp_path / "tiny"})
    home = {"HF_HOME": str(tmp_path / "home")}
    with served(kind) as address:
        code, said = prefetch(*words, HF_ENDPOINT=address, **home)
        assert code == 0, said
        code, gated = prefetch("model=flux_dev", "model.weights=someone/gated", HF_ENDPOINT=address, **home)
    assert code == 1
    assert "someone/gated is gated: agree to its terms on https://huggingface.co/someone/gated" in gated
    assert "set HF_TOKEN" in gated
    cached = next((tmp_path / "home").rglob(COMMIT))
    here = {str(path.relative_to(cached)) for path in cached.rglob("*") if path.is_file()}
    assert {name for name in here if not name.endswith((".json", ".txt"))} == {
        f"unet/diffusion_pytorch_model{variant}.safetensors",
        "text_encoder/model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    }
    assert "tokenizer/merges.txt" in here
    code, said = prefetch("--check", *words, **home)
    assert code == 0, said
    one, other = (sd15.load(str(folder), size=32, guidance_scale=1) for folder in (cached, tmp_path / "tiny"))
    x = torch.ones(1, 4, 4, 4)
    columns = Columns.of([one.path.noisiest], 4, "cpu")
    assert torch.equal(*(each(x, columns, ["a cat"]).eps for each in (one, other)))
    next(cached.glob("text_encoder/model.safetensors")).unlink()
    code, said = prefetch("--check", *words, **home)
    assert code == 1
    assert "someone/tiny is not whole in the hub's cache, text_encoder/ is missing" in said


def test_prefetch_names_every_file_missing_for_real_images(tmp_path: Path):
    words = ("dataset=cifar10", "model=openai_cifar10", "verifier=resnet56_cifar10", "search=none,random")
    places = (f"dataset.reference.root={tmp_path}", f"dataset.statistics={tmp_path}/x.npz")
    code, said = prefetch("--check", *words, *places, TORCH_HOME=str(tmp_path))
    assert code == 1
    missing = [line.split(":")[0].removeprefix("  missing  ") for line in said.splitlines() if "  missing  " in line]
    assert missing == [
        "weights cifar10_uncond_50M_500K.pt",
        "weights resnet56-4bfd9763.th",
        "dataset cifar10, its reference",
        "dataset cifar10, its report",
        "dataset cifar10, its statistics",
    ]
    assert f"{tmp_path}/cifar-10-batches-py/data_batch_1 is not there" in said
    assert f"no Inception weights in {tmp_path}/hub/checkpoints" in said


def test_prefetch_reports_the_error_of_a_refused_job():
    code, said = prefetch("--check", "search=random,zero_order", "images=0")
    assert code == 1
    assert "error: images is 0" in said
