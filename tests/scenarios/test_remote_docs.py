"""docs/remote.md, executed: each way of setting it up leads to hits on another machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conftest import CHECKOUT, SUDO, open_directory
from tests.lib.launch import Launcher
from tests.lib.machines import Machine, hits
from tests.lib.servers import BUCKET, s3_server, webdav_server

pytestmark = [pytest.mark.root, pytest.mark.system_files]

PAGE = (CHECKOUT / "docs/remote.md").read_text()
SETTINGS = re.findall(r"^```toml\n(\[remote\]\n.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
SHELL = re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """What the page calls the servers -> what they are here."""
    with open_directory() as directory:
        (directory / "mnt").mkdir()
        with s3_server(directory) as endpoint, webdav_server(directory) as url:
            yield {
                "https://minio.example.org:9000": endpoint,
                "https://dav.example.org": url,
                "/mnt/nfs": str(directory / "mnt"),
                "team-cache": BUCKET,
            }


def test_all_ways_are_there() -> None:
    urls = [re.search(r'url = "(\w+):', text)[1] for text in SETTINGS]  # type: ignore[index]
    assert urls == ["s3", "s3", "file", "https"]
    assert SHELL == ["pcache key new signing.key\n"]


@pytest.mark.parametrize("number", range(len(SETTINGS)))
def test_way(pcache: str, servers: dict[str, str], number: int) -> None:
    text = SETTINGS[number]
    for told, here in servers.items():
        text = text.replace(told, here)
    # The endpoint of Amazon's own, which is found by the region, is a variable here.
    amazon = {"PCACHE_AWS_ENDPOINT_URL": servers["https://minio.example.org:9000"]}
    with open_directory() as base:
        machines = []
        for name in ("ci", "developer"):
            (base / f"scratch-{name}").mkdir()
            launcher = Launcher(pcache, base / f"scratch-{name}", as_root=SUDO)
            machine = Machine(launcher, base, name, "", variables={**amazon, "CI": "true"})
            machines.append(machine)
        ci, developer = machines
        done = ci.pcache(*SHELL[0].split()[1:], where=base)
        secret = (base / "signing.key").read_text()
        text = re.sub(r"ed25519:A+=", done.stdout.decode().strip(), text) + 'map = ["home"]\n'
        for machine, more in ((ci, 'push = "ci"\n'), (developer, "")):
            (machine.home / ".config/pcache/config.toml").write_text(text + more)
            machine.lay_out({".pcache.toml": 'base_dir = "."\n', "in": f"{number}\n"})
        ci.env["PCACHE_SIGNING_KEY"] = secret.strip()
        assert "pushed 1 record," in ci.run("cp", "in", "out").own
        assert hits(developer.run("cp", "in", "out", verb="replay")) == ["cp in out"]
        report = developer.pcache("doctor").stdout.decode()
        assert re.search(r"^ok .*shared store .*answers; 1 keys are trusted$", report, re.M), report
