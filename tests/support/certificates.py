"""Certificates made for a test run, and a broker's configuration that needs them."""

import subprocess
from pathlib import Path

import pytest

from .broker import find, free_port


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, a broker's and a node's certificate, and another authority."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        command = [find("openssl"), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def authority(name: str) -> None:
        files = f"-keyout {name}.key -out {name}.pem -days 2 -subj /CN={name}".split()
        openssl("req", "-x509", *key, *files)

    def signed(name: str, alternative: str) -> None:
        (folder / "extension").write_text(f"subjectAltName={alternative}\n")
        openssl("req", *key, *f"-keyout {name}.key -out {name}.csr -subj /CN={name}".split())
        files = f"-in {name}.csr -out {name}.pem -days 2 -extfile extension".split()
        openssl("x509", "-req", *files, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")

    authority("ca")
    authority("stranger")
    signed("broker", "IP:127.0.0.1")
    signed("node", "DNS:node")
    return folder


def encrypted(certificates: Path) -> tuple[int, str]:
    """Return a port, and the configuration of a listener there that requires a certificate."""
    port = free_port()
    return (
        port,
        f"""listener {port} 127.0.0.1
allow_anonymous true
require_certificate true
cafile {certificates / "ca.pem"}
certfile {certificates / "broker.pem"}
keyfile {certificates / "broker.key"}""",
    )
