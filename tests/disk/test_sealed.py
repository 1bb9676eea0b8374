"""Text that ends with its own checksum: every flipped bit, and every cut, is noticed."""

import json

import pytest

from its.disk.sealed import is_sealed_yaml, sealed, sealed_yaml, unsealed

ENTRY = {"first": 0, "seconds": 0.125, "type": "cpu", "curve": [{"nfe": 1e-17, "nfe_cap": None}], "nested": {"a": {}}}


def damaged(text: str) -> list[bytes]:
    content = text.encode()
    flips = [
        content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
        for place in range(len(content))
        for bit in range(8)
    ]
    return flips + [content[:end] for end in range(len(content))]


@pytest.mark.parametrize("indent", [None, 1])
def test_sealed_json_is_read_back_and_no_damage_is(indent):
    text = sealed(ENTRY, indent=indent)
    assert unsealed(text) == ENTRY
    assert list(json.loads(text))[-1] == "check"
    for content in damaged(text):
        with pytest.raises(ValueError, match=r"\w"):
            unsealed(content.decode())


def test_unsealed_believes_what_an_earlier_version_wrote():
    assert unsealed(json.dumps(ENTRY)) == ENTRY
    for foreign in ("[]", "1", "null", "", "[" * 100_000):
        with pytest.raises(ValueError, match=r"\w"):
            unsealed(foreign)


def test_sealed_yaml_notices_every_damage():
    text = sealed_yaml("shard: 100\nseed: 0\n")
    assert is_sealed_yaml(text)
    assert not any(is_sealed_yaml(content.decode(errors="replace")) for content in damaged(text))
