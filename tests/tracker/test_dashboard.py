"""The dashboard script with the real wandb and wandb-workspaces, against a server of this machine that takes notes."""

import gzip
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from its.tracker.chart import spec

PROJECT = {
    "id": "1",
    "internalId": "UHJvOjE=",
    "name": "its",
    "entityName": "me",
    "createdAt": "2026-01-01T00:00:00Z",
    "isBenchmark": False,
    "user": None,
}
ANSWERS = {
    "viewer": {"id": "1", "username": "me", "entity": "me", "email": "", "flags": "{}", "teams": {"edges": []}},
    "createCustomChart": {"chart": {"id": "1"}},
    "project": PROJECT,
    "models": {"edges": [{"cursor": "", "node": PROJECT}], "pageInfo": {"endCursor": None, "hasNextPage": False}},
    "upsertView": {"view": {"id": "1", "name": "view", "type": "", "displayName": "", "description": ""}},
}
"""What W&B's server says, by the field that a query asks for."""


def answer_to(field, given):
    """What a query gets; a view comes back as it was sent."""
    answer = ANSWERS[field]
    return {field: {"view": answer["view"] | {"spec": given["spec"]}} if field == "upsertView" else answer}


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Variables of all queries that a server on this machine has got, where wandb takes it for W&B's."""
    variables = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self):
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            answer = {}
            if "graphql" in self.path:
                query = json.loads(gzip.decompress(sent) if sent[:2] == b"\x1f\x8b" else sent)
                variables.append(query.get("variables") or {})
                answer = answer_to(re.search(r"{\s*(\w+)", query["query"])[1], variables[-1])
            content = json.dumps({"data": answer}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, value in {
            "BASE_URL": f"http://127.0.0.1:{server.server_port}",
            "API_KEY": "k" * 40,
            "CONFIG_DIR": str(tmp_path),
            "CACHE_DIR": str(tmp_path),
        }.items():
            monkeypatch.setenv(f"WANDB_{name}", value)
        yield variables
        server.shutdown()


def every(node, key):
    """All values of a key, however deep."""
    found = [node[key]] if isinstance(node, dict) and key in node else []
    below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return found + [value for part in below for value in every(part, key)]


@pytest.mark.long
def test_wandb_dashboard_sends_chart_workspace_and_report(asked, monkeypatch, capsys):
    pytest.importorskip("wandb_workspaces", reason="pip install 'its[wandb]'")
    from scripts.wandb_dashboard import METRICS, main

    monkeypatch.setattr("sys.argv", ["wandb_dashboard.py", "me/its", "--sweep", "digits_demo"])
    main()
    assert len(capsys.readouterr().out.split()) == 3, "an id and two addresses"
    chart, workspace, report = [{**sent, "spec": json.loads(sent["spec"])} for sent in asked if "spec" in sent]
    assert chart["spec"] == spec()
    assert (chart["entity"], chart["chartName"]) == ("me", "its-nfe-curves")
    for view in (workspace, report):
        assert every(view, "panelDefId") == ["me/its-nfe-curves"]
        assert every(view, "mediaKeys") == [["samples"]]
        curves = [panel for panel in every(view, "config") if isinstance(panel, dict) and panel.get("xAxis") == "nfe"]
        assert {metric for panel in curves for metric in panel["metrics"]} >= set(METRICS)
        assert all(panel["xLogScale"] for panel in curves)
    only = [entry for filters in every(report, "filters") if isinstance(filters, list) for entry in filters]
    assert {(entry["key"]["name"], entry["op"], entry["value"]) for entry in only} == {("group", "=", "digits_demo")}
