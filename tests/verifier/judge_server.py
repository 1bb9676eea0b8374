"""A judge on this machine that delays, reorders, fails and talks nonsense as it is told."""

import base64
import io
import json
import re
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

import numpy as np
from PIL import Image

from its.verifier.rubric import ASPECTS


def brightness(picture):
    """What the judge scores by: the mean pixel on the rubric's scale, so that a score tells whose it is."""
    return round(9 * float(np.asarray(picture, float).mean()) / 255, 4)


class JudgeServer:
    """Its state: `behave` maps (attempt at a picture, the picture's number) to what is done with the request.

    That is None for an answer, a number of seconds for a late one, an HTTP status (an int of three digits, or with
    headers a pair), the text that is answered, or a function that is given the handler and does as it likes.
    """

    def __init__(self):
        self.behave = lambda attempt, number: None
        self.attempts, self.at_once, self.most_at_once = Counter(), 0, 0
        self.requests, self.lock = [], Lock()

    @property
    def calls(self):
        return len(self.requests)


def answer_of(number, score, **changes):
    return json.dumps({"picture": number} | dict.fromkeys(ASPECTS, 1) | {"overall": score} | changes)


def handler_of(state):
    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1  # of head and body one packet

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text, image = body["messages"][0]["content"]
            picture = Image.open(io.BytesIO(base64.b64decode(image["image_url"]["url"].partition(",")[2])))
            number = int(re.search(r"Picture (\d+) was", text["text"])[1])
            with state.lock:
                state.requests.append((self.path, dict(self.headers), body, number))
                state.attempts[number] += 1
                state.at_once += 1
                state.most_at_once = max(state.most_at_once, state.at_once)
                act = state.behave(state.attempts[number], number)
            try:
                self.act(act, number, brightness(picture))
            finally:
                with state.lock:
                    state.at_once -= 1

        def act(self, act, number, score):
            status, headers, text = 200, {}, answer_of(number, score)
            if callable(act):
                act(self)
                self.close_connection = True
                return
            if isinstance(act, tuple):
                status, headers = act
            elif isinstance(act, str):
                text = act
            elif isinstance(act, int) and act >= 100:
                status = act
            elif act is not None:
                time.sleep(act)
            content = json.dumps(
                {
                    "choices": [{"message": {"content": text}}],
                    "usage": {"prompt_tokens": 10, "completion_tokens": 3},
                }
                if status == 200
                else {"error": f"no: {self.headers.get('Authorization')}"}
            ).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": len(content)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    return Handler


@contextmanager
def judge_server():
    """Yield the state of a judge, and the URL of its API."""
    state = JudgeServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(state))
    server.daemon_threads = True
    thread = Thread(target=lambda: server.serve_forever(0.02), daemon=True)
    thread.start()
    try:
        yield state, f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
