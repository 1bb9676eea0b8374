"""What a job without a network would miss is named exactly; with one it is fetched to where the variables say."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from its.process.source_tree import ROOT

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


@pytest.fixture
def hub() -> Iterator[str]:
    """The address of a hub on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


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
