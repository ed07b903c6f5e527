import http.server
import socket
import ssl
import threading
import urllib.error

import pytest

from pliant.zoo import download


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    """Answers 404 to everything, and notes what was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}", asked
        serving.shutdown()
        thread.join()


def test_any_answer_is_an_answer(server):
    url, asked = server
    assert download.unreachable(f"{url}/model/weights.safetensors") is None
    assert asked == ["/"]


def test_a_closed_port():
    with socket.socket() as bound:  # bound, so that no one else listens, and itself not listening
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert download.unreachable(f"{url}/a") == f"{url}/ cannot be reached: Connection refused"


def test_a_server_that_is_silent(monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert download.unreachable(f"{url}/a") == f"{url}/ cannot be reached: timed out"


def test_a_certificate_that_is_not_trusted_is_an_answer(monkeypatch):
    def fail(*_, **__):
        raise urllib.error.URLError(ssl.SSLCertVerificationError("self-signed certificate"))

    monkeypatch.setattr(download, "urlopen", fail)
    assert download.unreachable("https://example.org/a") is None
