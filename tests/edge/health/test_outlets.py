"""Health as files, and over HTTP."""

import http.client
import json
import socket
import struct
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest
from eqedge.edge.delivery.errors import OutputFileError
from eqedge.edge.health import outlets as health_outlets
from eqedge.edge.health.liveness import State
from eqedge.edge.health.metrics import health_record, metrics_of
from eqedge.edge.health.outlets import HealthFiles, HealthServer
from eqedge.edge.settings.health import HealthSettings

from tests.edge.health.test_metrics import LABELS, WELL
from tests.support.broker import free_port, wait_until
from tests.support.disks import remount, small_disk


def test_files_are_replaced_whole_and_readable(tmp_path):
    """Each write replaces both files; no half file stays, and others may read them."""
    files = HealthFiles(
        HealthSettings(
            json_file=str(tmp_path / "health.json"), prometheus_file=str(tmp_path / "eqedge.prom")
        )
    )
    for number in range(2):
        files.write({"number": number}, f"eqedge_x {number}\n")
    assert json.loads((tmp_path / "health.json").read_text()) == {"number": 1}
    assert (tmp_path / "eqedge.prom").read_text() == "eqedge_x 1\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["eqedge.prom", "health.json"]
    assert (tmp_path / "eqedge.prom").stat().st_mode & 0o777 == 0o644


def test_files_that_cannot_be_written_are_logged_and_counted(tmp_path, logged):
    """A missing folder or a read-only disk costs the file, not the node; each is logged once."""
    missing = tmp_path / "missing"
    files = HealthFiles(HealthSettings(json_file=str(missing / "health.json")))
    for _ in range(3):
        files.write({}, "")
    assert files.counts.errors == 3
    missing.mkdir()
    files.write({}, "")
    assert [f"{missing}/health.json" in line for line in logged()] == [True, True]
    assert "No such file" in logged()[0] and "written again" in logged()[1]
    with small_disk(tmp_path / "disk") as disk:
        settings = HealthSettings(prometheus_file=str(disk / "eqedge.prom"))
        files = HealthFiles(settings)
        files.write({}, "eqedge_x 1\n")
        remount(disk, "ro")
        files.write({}, "eqedge_x 2\n")
        assert files.counts.errors == 1
        assert "Read-only" in logged()[2]
        assert (disk / "eqedge.prom").read_text() == "eqedge_x 1\n"


@pytest.fixture
def server():
    """An endpoint on a free loopback port."""
    made = HealthServer("127.0.0.1", 0)
    yield made
    made.close()


def get(server, path):
    """Return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_endpoint(server):
    """The newest metrics and health are served; unhealthy is 503, other paths are 404."""
    assert get(server, "/health")[0] == 503
    server.publish(health_record(LABELS, "", metrics_of(()), WELL), "eqedge_x 1\n")
    assert get(server, "/metrics") == (200, "eqedge_x 1\n")
    status, body = get(server, "/health")
    assert status == 200 and json.loads(body)["state"] == "healthy"
    assert get(server, "/../etc/passwd")[0] == 404
    bad = replace(WELL, samples=State.FAILED)
    server.publish(health_record(LABELS, "", metrics_of(()), bad), "")
    assert get(server, "/health")[0] == 503


def raw(server, request):
    """Send bytes as they are; return status line, headers and body, once the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as client:
        client.sendall(request)
        answer = b""
        while data := client.recv(65_536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in headers), body.decode()


@pytest.mark.parametrize(
    "path", ["/metrics?format=prometheus", "/metrics?", "/metrics#x", "http://node:9/metrics?a=b"]
)
def test_what_follows_the_path_changes_nothing(server, path):
    """A query string, a fragment, and the absolute form of a proxy."""
    server.publish({"state": "healthy"}, "eqedge_x 1\n")
    assert get(server, path) == (200, "eqedge_x 1\n")


@pytest.mark.parametrize("path", ["/metrics", "/health?a=b", "/nothing"])
def test_head_is_get_without_its_body(server, path):
    """The same status and headers, also for monitors that only check the status."""
    server.publish({"state": "healthy"}, "eqedge_x 1\n")
    answers = {}
    for method in ("GET", "HEAD"):
        request = f"{method} {path} HTTP/1.1\r\nHost: node\r\n\r\n"
        answers[method] = raw(server, request.encode())
    for _, headers, _ in answers.values():
        headers.pop("Date", None)
    assert answers["HEAD"][:2] == answers["GET"][:2]
    assert answers["HEAD"][2] == "" != answers["GET"][2]
    assert int(answers["HEAD"][1]["Content-Length"]) == len(answers["GET"][2])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "FROB"])
def test_other_methods_are_405(server, method):
    """With the methods that are allowed; a body that came along does not reset the connection."""
    body = b"x" * 1_000_000
    request = f"{method} /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as client:
        client.sendall(request.encode() + body)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.0 405 ") and b"\r\nAllow: GET, HEAD\r\n" in answer
    assert get(server, "/metrics")[0] == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /metrics HTTP/1.0\r\n\r\n", "200"),
        (b"GET /metrics\r\n\r\n", "200"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400"),
        (b"GET  /metrics more words HTTP/1.1\r\n\r\n", "400"),
        (b"GET /metrics HTTP/9.9\r\n\r\n", "505"),
        (b"GET http://[ HTTP/1.0\r\n\r\n", "404"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.0\r\n\r\n", "414"),
        (b"GET /metrics HTTP/1.0\r\n" + b"a: b\r\n" * 200 + b"\r\n", "431"),
    ],
)
def test_every_request_has_a_status(server, request_bytes, status, capfd):
    """Old clients are served; what is no request is answered as such, in text, and logs nothing."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as client:
        client.sendall(request_bytes)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65_536), b"")).decode()
    assert answer.split()[:2] == ["HTTP/1.0", status]
    assert "<" not in answer and "Python" not in answer
    assert get(server, "/metrics")[0] == 200 and capfd.readouterr().err == ""


def test_slow_clients_do_not_block_the_endpoint(server):
    """With twice the allowed number, each silent or slow, the oldest are disconnected."""
    with ExitStack() as slow:
        for number in range(2 * health_outlets.MOST_CLIENTS):
            client = slow.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            client.sendall(b"GET /health HTTP/1.1\r\n" if number % 2 else b"")
        assert get(server, "/metrics")[0] == 200
        assert get(server, "/health")[0] == 503
        assert 0 < len(server._server._deadlines) <= health_outlets.MOST_CLIENTS


def test_a_client_has_a_limit_for_its_whole_request(server, monkeypatch):
    """A client that sends a byte now and then is disconnected."""
    monkeypatch.setattr(health_outlets, "REQUEST_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.settimeout(0.05)

        def disconnected():
            client.sendall(b"G")
            with suppress(TimeoutError):
                return client.recv(100) == b""
            return False

        with suppress(ConnectionError):  # which is to be disconnected, too
            wait_until(disconnected, "a slow client is disconnected")


def test_the_end_does_not_wait_for_clients():
    """A client in the middle of its request does not hold up the end of the node."""
    made = HealthServer("127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", made.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        assert get(made, "/metrics")[0] == 200  # so the slow one is being served
        made.close()
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):  # still served when the server had closed
            client.recv(1)


def test_a_client_that_disconnects_early_is_not_logged(server, capfd):
    """Reset in the middle of an answer: nothing on standard error."""
    server.publish({"state": "healthy"}, "eqedge_x 1\n" * 500_000)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            client.recv(1)
    wait_until(lambda: not server._server._deadlines, "all clients are forgotten")
    assert capfd.readouterr().err == ""


def test_an_endpoint_that_cannot_listen_is_one_line(server):
    """A port that is taken, named with the remedy."""
    with pytest.raises(OutputFileError, match=f"127.0.0.1:{server.port}.*choose another port"):
        HealthServer("127.0.0.1", server.port)


def test_an_endpoint_on_ipv6():
    """`::1` is an address like any other."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    made = HealthServer("::1", 0)
    with socket.create_connection(("::1", made.port)) as client:
        client.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert b"503" in client.recv(100)
    made.close()


def test_nothing_listens_by_default():
    """The endpoint is off, and on loopback where it is on."""
    assert HealthSettings().http_port is None
    assert HealthSettings(http_port=free_port()).http_host == "127.0.0.1"
