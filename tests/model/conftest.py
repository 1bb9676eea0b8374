"""A cache of encodings of its own for every test of pipelines."""

import pytest


@pytest.fixture
def text_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ITS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "text"
