"""Where health is left for others: files, and an HTTP endpoint."""

import http.client
import json
import socket
from dataclasses import replace

import pytest
from eqedge.edge.delivery.sinks import OutputError
from eqedge.edge.operation.health import State
from eqedge.edge.operation.health_outlets import HealthFiles, HealthServer
from eqedge.edge.operation.metrics import Metrics, health_record
from eqedge.edge.settings import HealthSettings

from ...broker import free_port
from ..delivery.test_sinks import remount, small_disk
from .test_metrics import LABELS, WELL


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


def test_files_that_cannot_be_written_are_counted(tmp_path):
    """A missing folder or a read-only disk costs the file, not the node."""
    files = HealthFiles(HealthSettings(json_file=str(tmp_path / "missing" / "health.json")))
    files.write({}, "")
    assert files.errors == 1
    with small_disk(tmp_path / "disk") as disk:
        files = HealthFiles(HealthSettings(prometheus_file=str(disk / "eqedge.prom")))
        files.write({}, "eqedge_x 1\n")
        remount(disk, "ro")
        files.write({}, "eqedge_x 2\n")
        assert files.errors == 1
        assert (disk / "eqedge.prom").read_text() == "eqedge_x 1\n"


@pytest.fixture
def server():
    """An endpoint on a free loopback port."""
    made = HealthServer("127.0.0.1", 0)
    yield made
    made.close()


def get(server, path):
    """Return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_endpoint(server):
    """Metrics and health are served as last published; unhealthy is 503, the rest 404."""
    assert get(server, "/health")[0] == 503
    server.publish(health_record(LABELS, "", Metrics(), WELL), "eqedge_x 1\n")
    assert get(server, "/metrics") == (200, "eqedge_x 1\n")
    status, body = get(server, "/health")
    assert status == 200 and json.loads(body)["state"] == "healthy"
    assert get(server, "/../etc/passwd")[0] == 404
    bad = replace(WELL, samples=State.FAILED)
    server.publish(health_record(LABELS, "", Metrics(), bad), "")
    assert get(server, "/health")[0] == 503


def test_a_client_that_says_nothing_does_not_block_the_endpoint(server):
    """A silent client is cut off after its time, then the next one is served."""
    server._server.RequestHandlerClass.timeout = 0.1
    with socket.create_connection(("127.0.0.1", server.port)):
        assert get(server, "/metrics")[0] == 200


def test_an_endpoint_that_cannot_listen_is_one_line(server):
    """A port that is taken, named with the remedy."""
    with pytest.raises(OutputError, match=f"127.0.0.1:{server.port}.*choose another port"):
        HealthServer("127.0.0.1", server.port)


def test_nothing_listens_by_default():
    """The endpoint is off, and on loopback where it is on."""
    assert HealthSettings().http_port is None
    assert HealthSettings(http_port=free_port()).http_host == "127.0.0.1"
