"""JSON of the product holds no NaN and no Infinity."""

import json
import math

import pytest

from its.disk.run_folder import RunFolder
from its.disk.valid_json import to_json


def strict(text):
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_to_json_writes_null_for_a_missing_number_at_any_depth():
    content = {"a": math.nan, "b": [math.inf, {"c": (-math.inf, 1.5, "NaN", True, None)}]}
    assert strict(to_json(content)) == {"a": None, "b": [None, {"c": [None, 1.5, "NaN", True, None]}]}


def test_run_folder_writes_valid_json(tmp_path):
    files = RunFolder(tmp_path)
    files.write_failure("loss is nan", "no trace")
    files.write_summary({"curve": [{"fid": math.nan, "reward_mean_se": math.inf}]})
    files.finish(files.schedule, {"se": math.nan})
    assert strict(files.summary.read_text())["curve"] == [{"fid": None, "reward_mean_se": None}]
    assert strict(files.schedule.read_text())["se"] is None
