"""Prompts are what their file holds, to the letter; whatever a file leaves open is refused."""

import csv
import io
import json
import shutil
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from its.dataset import prompts as module
from its.dataset.prompt_list import READERS, read_prompts
from its.dataset.prompts import Prompt, Prompts
from its.dataset.published_prompts import PUBLISHED, digest_of
from its.process.source_tree import ROOT

LISTS = ROOT.parent / "shared" / "data" / "prompts"
SHAPE = (3, 8, 8)

AWKWARD = (
    " leading and trailing ",
    'a "quoted" word, and a comma',
    "<script>alert(1)</script>",
    "=HYPERLINK(0)",
    "$x_1$ costs 50% & more \\alpha {braces} # ~ ^",
    "a\x1b[31mred\x1b[0m one",
    "line\u2028separator and \x0b \x0c \x1c feeds",
    "夜の café 🦙",
    "${oc.env:HOME} {twin} twin:0",
)


def written(folder: Path, name: str, prompts, categories=None) -> Path:
    """A list of prompts by the standard library's own writers."""
    path, pairs = folder / name, list(zip(prompts, categories or ["c"] * len(prompts), strict=True))
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"text": a, "kind": b}) + "\n" for a, b in pairs))
        return path
    text = io.StringIO()
    dialect = {".csv": {}, ".tsv": {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None}}[path.suffix]
    writer = csv.writer(text, lineterminator="\r\n", **dialect)
    writer.writerows([("text", "kind"), *pairs])
    path.write_bytes(text.getvalue().encode())
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_prompts_are_what_was_written_to_the_letter(tmp_path, ending):
    path = written(tmp_path, f"list{ending}", AWKWARD, [str(k % 2) for k in range(len(AWKWARD))])
    data = Prompts(SHAPE, str(path), "text", "kind")
    assert data.prompts == list(AWKWARD)
    assert [data.condition(k) for k in range(2 * len(AWKWARD))] == [*AWKWARD, *AWKWARD], "in turn"
    assert [data.category_of(k) for k in (0, 1, len(AWKWARD))] == ["0", "1", "0"]


def test_prompts_of_a_text_are_its_lines(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeff".encode() + "\r\n\n".join(AWKWARD).encode() + b"\n")
    assert Prompts(SHAPE, str(path)).prompts == list(AWKWARD), "blank lines and the mark of UTF-8 are none"
    quoted = tmp_path / "list.csv"
    quoted.write_text('text\n"two\nlines, one ""prompt"""\n')
    assert Prompts(SHAPE, str(quoted)).prompts == ['two\nlines, one "prompt"']
    bare = tmp_path / "list.jsonl"
    bare.write_text('"one"\n\n"two"\n')
    assert Prompts(SHAPE, str(bare)).prompts == ["one", "two"]
    whole = tmp_path / "list.json"
    whole.write_text(json.dumps(AWKWARD, indent=1))
    assert Prompts(SHAPE, str(whole)).prompts == list(AWKWARD)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of two lists."""
    path = tmp_path / "lists"
    path.mkdir()
    (path / "shape_val.txt").write_bytes(b"a cube\r\na ball")
    (path / "color.json").write_text(json.dumps([" red ", "blue"]))
    return path


def test_prompts_of_a_folder_are_one_list_with_files_as_categories(folder):
    data = Prompts(SHAPE, str(folder), category="file")
    assert data.prompts == [" red ", "blue", "a cube", "a ball"], "by name"
    assert [data.category_of(k) for k in range(5)] == ["color", "color", "shape_val", "shape_val", "color"]
    assert data.account == "lists, 4 prompts"
    assert Prompts(SHAPE, str(folder)).category_of(0) is None
    other = Prompts(SHAPE, str(folder), category="file", files=["shape_val.txt", "color.json"])
    assert other.prompts == ["a cube", "a ball", " red ", "blue"], "in the order that is asked for"
    copy = Path(shutil.copytree(folder, folder.parent / "elsewhere"))
    assert Prompts(SHAPE, str(copy)).digest == data.digest
    (copy / "color.json").rename(copy / "colour.json")
    assert Prompts(SHAPE, str(copy)).digest != data.digest


@pytest.mark.parametrize(
    ("files", "name", "content", "reason"),
    [
        (["color.json"], None, b"", r"lists holds shape_val.txt, which is none of dataset.files"),
        (["color.json", "shape_val.txt", "x.txt"], None, b"", r"dataset.files names x.txt, which is not there once"),
        (["color.json", "color.json", "shape_val.txt"], None, b"", r"names color.json, which is not there once"),
        (None, ".DS_Store", b"x", r"\.DS_Store is none of \.txt"),
        (None, "more/x.txt", b"x", r"more is none of \.txt"),
        (None, "a.txt", b"\n", r"a\.txt holds no prompt"),
        (None, "a.csv", b"text,kind\none,two\n", r"has the columns 'text', 'kind', 'a prompt'; say which"),
        (None, "a.csv", b"file\none\n", r"a\.csv, line 2: in a folder of lists the column 'file' is the file's name"),
    ],
)
def test_prompts_refuse_a_folder_that_leaves_open_what_belongs_to_it(folder, files, name, content, reason):
    if name:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        Prompts(SHAPE, str(folder), files=files)


def test_prompts_of_one_file_have_no_files(folder):
    with pytest.raises(ValueError, match=r"dataset.files names the files of a folder, and .*json is one file"):
        Prompts(SHAPE, str(folder / "color.json"), files=["color.json"])
    with pytest.raises(ValueError, match=r"dataset.category is 'file', and .*json has no columns"):
        Prompts(SHAPE, str(folder / "color.json"), category="file")


@pytest.mark.parametrize(
    ("name", "content", "column", "reason"),
    [
        ("l.csv", b"a,b\n1,2\n", None, r"has the columns 'a', 'b'; say which holds the prompts: dataset.column=\.\.\."),
        ("l.csv", b"Prompt,b\n1,2\n", "Promt", r"dataset.column is 'Promt', and .* did you mean Prompt\?"),
        ("l.csv", b"a,b\n1\n", "a", r"line 2: it has 1 cells, and the header 2"),
        ("l.csv", b"a,a\n1,2\n", "a", r"two columns 'a'"),
        ("l.csv", b'a\n"x" y\n', "a", r"line 2: this is no CSV"),
        ("l.csv", b"a,b\n ,2\n", "a", r"line 2: the prompt is empty"),
        ("l.csv", b"a,b\n", "a", r"holds no prompt"),
        ("l.tsv", b'a\tb\n"x, ""y"""\tz\n', "a", r"line 2: .* is in quotes, which TSV does not know.*save it as CSV"),
        ("l.txt", b"", None, r"holds no prompt"),
        ("l.txt", b"a\rb\n", None, r"line 1: .*carriage return"),
        ("l.txt", b"a\n\xff\xfe\n", None, r"line 2: this is no UTF-8"),
        ("l.txt", b"a\n", "text", r"dataset.column is 'text', and .* has no columns; leave it out"),
        ("l.jsonl", b'{"a": 1}\n', "a", r"line 1: the prompt is 1; it is a text"),
        ("l.jsonl", b'{"a": "x"}\n{"b": "y"}\n', "a", r"line 2: the prompt is None"),
        ("l.jsonl", b"[1]\n", None, r"line 1: it is a list"),
        ("l.jsonl", b'{"a": "x"\n', "a", r"line 1: this is no JSON"),
        ("l.jsonl", b'{"a": "\\ud800"}\n', "a", r"half of a character"),
        ("l.jsonl", b"[" * 100_000, "a", r"line 1: this is no JSON"),
        ("l.json", b"{}", None, r"l\.json is a dict; it is a list of texts, or of objects"),
        ("l.json", b'["a", 1]', None, r"entry 2: it is a int; it is one object, or a text"),
        ("l.json", b'["a", " "]', None, r"entry 2: the prompt is empty"),
        ("l.json", b'["a"', None, r"l\.json: this is no JSON"),
        ("l.md", b"a", None, r"is none of \.txt, \.csv, \.tsv, \.json, \.jsonl"),
    ],
)
def test_read_prompts_refuses_what_a_file_leaves_open(tmp_path, name, content, column, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_prompts(path, column, None)


def test_prompts_say_where_a_list_is_to_be_had(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no list of prompts at .*PartiPrompts.tsv; .*prefetch.*https://raw\."):
        Prompts(SHAPE, "data/prompts/PartiPrompts.tsv", "Prompt")
    with pytest.raises(FileNotFoundError, match=r"no list of prompts at .*mine.txt; give the path"):
        Prompts(SHAPE, "mine.txt")
    with pytest.raises(FileNotFoundError, match=r"at .*dpg_bench; save there what .*ELLA, its folder dpg_bench/"):
        Prompts(SHAPE, "data/prompts/dpg_bench")
    with pytest.raises(ValueError, match="holds no list of prompts"):
        Prompts(SHAPE, str(tmp_path))
    with pytest.raises(ValueError, match=r"the prompt is 42; it is a text"):
        Prompt(SHAPE, 42)


@pytest.mark.parametrize(
    ("name", "file", "categories"),
    [
        ("DrawBench.csv", "DrawBench_Prompts.csv", 11),
        ("PartiPrompts.tsv", "PartiPrompts.tsv", 12),
        ("geneval.jsonl", "geneval/evaluation_metadata.jsonl", 6),
        ("geneval2_data.jsonl", "geneval2_data.jsonl", 8),
        ("dpg_bench", "dpg_bench", 1),
        ("t2i_compbench", "t2i_compbench", 8),
    ],
)
def test_published_lists_are_read_whole(name, file, categories):
    if not (LISTS / file).exists():
        pytest.skip(f"there is no copy of {file} beside the clone, in shared/data/prompts")
    published = PUBLISHED[name]
    prompts, names = read_prompts(LISTS / file, published.column, published.category)
    assert (len(prompts), digest_of(prompts), len(set(names))) == (published.count, published.digest, categories)
    if name == "PartiPrompts.tsv":
        assert any(prompt.startswith('"G I G G L E" painted') for prompt in prompts), "TSV has no quotes to strip"
    if name == "geneval.jsonl":
        assert prompts == (LISTS / "geneval" / "generation_prompts.txt").read_text().splitlines()


def test_fetch_keeps_what_is_whole_and_nothing_else(tmp_path, monkeypatch):
    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            good = {"/good": b"text,kind\none,a\ntwo,b\n", "/a.txt": b"one", "/b.txt": b"two"}
            body = good.get(self.path, b"<html>sign in</html>")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    mine = replace(
        PUBLISHED["DrawBench.csv"],
        **{"urls": (f"{address}/good",), "column": "text", "category": "kind", "count": 2},
        digest=digest_of(["one", "two"]),
    )
    path = tmp_path / "data" / "mine.csv"
    try:
        for url, digest in ((f"{address}/bad", mine.digest), (mine.urls[0], "0")):
            monkeypatch.setitem(module.PUBLISHED, "mine.csv", replace(mine, urls=(url,), digest=digest))
            with pytest.raises(ValueError, match="does not give the 2 prompts that were published"):
                Prompts.fetch(str(path))
            assert list(path.parent.glob("*")) == []
        monkeypatch.setitem(module.PUBLISHED, "mine.csv", mine)
        Prompts.fetch(str(path))
        several = replace(mine, column=None, category="file")
        for name, last in (("half", "/c.txt"), ("lists", "/b.txt")):
            urls = (f"{address}/a.txt", f"{address}{last}")
            monkeypatch.setitem(module.PUBLISHED, name, replace(several, urls=urls))
        with pytest.raises(ValueError, match="does not give the 2 prompts that were published"):
            Prompts.fetch(str(tmp_path / "data" / "half"))
        Prompts.fetch(str(tmp_path / "data" / "lists"))
        assert sorted(each.name for each in path.parent.iterdir()) == ["lists", "mine.csv"]
    finally:
        server.shutdown()
    assert Prompts(SHAPE, str(path.parent / "lists"), category="file").prompts == ["one", "two"]
    assert Prompts(SHAPE, str(path), "text").prompts == ["one", "two"]
    Prompts.fetch(str(path))  # the server is gone, and what is there stays
    assert READERS.keys() == {".txt", ".csv", ".tsv", ".json", ".jsonl"}
