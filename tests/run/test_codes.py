"""Codes of starting points and lines of text come back as they went in."""

import numpy as np

from its.run.codes import NO_START, decode_lines, decode_start, encode_lines, encode_start


def test_decode_start_inverts_encode_start():
    points = [np.full((1, 2, 2), value, dtype=np.float32) for value in (0.5, 1.5)]
    starts = [3, points[0], points[0], None, points[1], 0, points[0]]
    moved: list[np.ndarray] = []
    codes = [encode_start(start, moved) for start in starts]
    assert codes == [3, -2, -2, NO_START, -3, 0, -4], "a point is stored again only if another came between"
    noise = np.stack(moved)
    for start, code in zip(starts, codes, strict=True):
        decoded = decode_start(code, noise)
        assert np.array_equal(decoded, start) if isinstance(start, np.ndarray) else decoded == start


def test_decode_lines_inverts_encode_lines():
    for lines in ([], ["null"], ["null", '{"ü": 1}', "x"]):
        array = encode_lines(lines)
        assert array.dtype == np.uint8
        assert decode_lines(array) == lines
