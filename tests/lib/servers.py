"""Servers that shared stores are on, on the loopback device, and a proxy that spoils them."""

from __future__ import annotations

import hmac
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

BIN = Path(sys.prefix) / "bin"
BUCKET = "team"
WRITER = ("ci-key", "ci-secret")
READER = ("dev-key", "dev-secret")
_IDENTITIES = [
    {
        "name": name,
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": actions,
    }
    for name, (key, secret), actions in (
        ("ci", WRITER, ["Admin", "Read", "Write", "List"]),
        ("dev", READER, ["Read", "List"]),
    )
]
_PATIENCE_S = 60


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free_pair() -> int:
    """A port that is free, and so is the one 10000 above: SeaweedFS's for gRPC."""
    while True:
        port = free_port()
        try:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port % 50000 + 10000))
            if port < 50000:
                return port
        except OSError:
            continue


@contextmanager
def _running(command: list[str], log: Path, url: str) -> Iterator[None]:
    """A server, from when it answers HTTP at `url` until it is ended."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=log.parent
        )
        try:
            _wait(url, process, log)
            yield
        finally:
            process.kill()  # what it holds goes with it
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"a server did not start:\n{log.read_text(errors='replace')[-2000:]}")


@contextmanager
def s3_server(directory: Path) -> Iterator[str]:
    """An S3 server that enforces conditional writes (SeaweedFS); its endpoint.

    WRITER may do everything, READER only read.
    """
    data = directory / "s3"
    data.mkdir()
    config = directory / "s3.json"
    config.write_text(json.dumps({"identities": _IDENTITIES}))
    ports = {name: _free_pair() for name in ("master", "volume", "filer", "s3")}
    command = [str(BIN / "weed"), "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    for name, port in ports.items():
        command += [f"-{name}.port={port}", f"-{name}.port.grpc={port % 50000 + 10000}"]
    command += [
        *("-filer", "-s3", f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *(f"-s3.localSocket={directory}/s3.sock", f"-filer.localSocket={directory}/filer.sock"),
        *("-master.volumeSizeLimitMB=64", "-volume.max=30", "-master.telemetry=false"),
    ]
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    with _running(command, directory / "s3.log", endpoint):
        _make_bucket(endpoint)
        yield endpoint


def _make_bucket(endpoint: str) -> None:
    """Writes until the server, whose parts find each other as they start, takes it."""
    import obstore

    store = open_bucket(endpoint)
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            obstore.put(store, "started", b"")
            return
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def open_bucket(endpoint: str, prefix: str = "") -> object:
    """The bucket, for a test that does what an attacker does."""
    from obstore.store import S3Store

    return S3Store(
        BUCKET,
        prefix=prefix or None,
        endpoint=endpoint,
        region="us-east-1",
        access_key_id=WRITER[0],
        secret_access_key=WRITER[1],
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


@contextmanager
def webdav_server(directory: Path) -> Iterator[str]:
    """A WebDAV server that knows no conditional writes (rclone); its URL."""
    data = directory / "dav"
    data.mkdir()
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        *(str(BIN / "rclone"), "serve", "webdav", str(data), f"--addr=127.0.0.1:{port}"),
        f"--config={directory / 'rclone.conf'}",
    ]
    with _running(command, directory / "dav.log", url):
        yield url


AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""What every Azurite knows, as its documentation says."""
_AZURITE = "azurite@3.35.0"


@contextmanager
def azure_server(directory: Path) -> Iterator[str]:
    """A server that speaks like Azure's blob storage (Azurite, 190 MB of npm's packages); its
    endpoint.  It has a container of the name BUCKET."""
    install = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(directory)]
    subprocess.run([*install, _AZURITE], check=True, timeout=300)
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        *("node", str(directory / "node_modules/.bin/azurite-blob"), "--inMemoryPersistence"),
        *("--blobHost", "127.0.0.1", "--blobPort", str(port)),
        *("--skipApiVersionCheck", "--disableTelemetry"),
    ]
    with _running(command, directory / "azurite.log", url):
        _make_container(f"{url}/{AZURE_ACCOUNT}")
        yield f"{url}/{AZURE_ACCOUNT}"


def _make_container(endpoint: str) -> None:
    """See "Authorize with Shared Key" in Azure's reference of its storage services."""
    form = "application/x-www-form-urlencoded"
    own = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    lines = ["PUT", *[""] * 4, form, *[""] * 6, *(f"{name}:{text}" for name, text in own.items())]
    resource = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{BUCKET}\nrestype:container"
    signed = "\n".join([*lines, resource]).encode()
    digest = hmac.digest(b64decode(AZURE_KEY), signed, "sha256")
    headers = {
        **own,
        "Content-Type": form,
        "Authorization": f"SharedKey {AZURE_ACCOUNT}:{b64encode(digest).decode()}",
    }
    request = urllib.request.Request(
        f"{endpoint}/{BUCKET}?restype=container", b"", headers, method="PUT"
    )
    urllib.request.urlopen(request, timeout=10).close()


PASS, HANG, REFUSE, DIE, RUBBISH, FULL = "pass", "hang", "refuse", "die", "rubbish", "full"
_RUBBISH = b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n" + os.urandom(60)
_FULL = b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Proxy:
    """Between clients and a server, at `endpoint`: delays what it passes on, or spoils it."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self.mode = PASS
        self.delay_s = 0.0
        """Of each request: what a round trip takes longer."""
        self.requests = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            if self.mode == REFUSE:
                # A reset, as of a port where nobody listens.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return
            try:
                with socket.create_connection(self._target) as server:
                    self._relay(client, server)
            except OSError:
                return

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        asked = False
        while True:
            ready, _, _ = select.select([client, server], [], [], 60)
            if not ready:
                return
            if client in ready:
                data = client.recv(1 << 16)
                if not data:
                    return
                if not asked:
                    self.requests += 1
                    time.sleep(self.delay_s)
                asked = True
                if not self._spoil(client, data):
                    return
                server.sendall(data)
            if server in ready:
                data = server.recv(1 << 16)
                if not data:
                    return
                asked = False
                client.sendall(data[: len(data) // 2] if self.mode == DIE else data)
                if self.mode == DIE:
                    return

    def _spoil(self, client: socket.socket, data: bytes) -> bool:
        """Whether the request goes on to the server."""
        if self.mode == HANG:
            time.sleep(60)
            return False
        if self.mode == RUBBISH:
            client.sendall(_RUBBISH)
            return False
        if self.mode == FULL and data.startswith((b"PUT", b"POST")):
            client.sendall(_FULL)
            return False
        return True


@contextmanager
def proxy(target: str) -> Iterator[Proxy]:
    """A proxy for as long as it is needed."""
    one = Proxy(target)
    try:
        yield one
    finally:
        one.close()
