"""`pcache service`: the recorder for a group of users, under systemd or in the foreground."""

from __future__ import annotations

import _socket
import grp
import os
import subprocess
import sys
from collections.abc import Iterator

from pcache.errors import EnvironmentProblem, PrivilegeError
from pcache.linux.user import is_root
from pcache.recorder import SERVICE, image
from pcache.recorder.protocol import LEAST_RING
from pcache.recorder.service import Service, listen, remove_afterwards
from pcache.session.steps.load_probes import Probes
from pcache.session.steps.make import RECORDER, make

_UNITS = "/etc/systemd/system"
_SYSTEMD = "/run/systemd/system"
"""Made by a systemd that runs: sd_booted(3)."""
_IDLE_S = 300.0
_LISTEN_FD = 3
"""The first descriptor that systemd passes: sd_listen_fds(3)."""

_SOCKET_UNIT = """\
[Unit]
Description=Recorder of pcache

[Socket]
ListenSequentialPacket={path}
SocketMode=0660
SocketGroup={group}

[Install]
WantedBy=sockets.target
"""
_SERVICE_UNIT = """\
[Unit]
Description=Recorder of pcache
Documentation=man:pcache(1)

[Service]
ExecStartPre=+{command} doctor --prepare --quiet
ExecStart={command} service start
User=pcache-recorder
DynamicUser=yes
AmbientCapabilities=CAP_BPF CAP_PERFMON
CapabilityBoundingSet=CAP_BPF CAP_PERFMON
CPUSchedulingPolicy=rr
CPUSchedulingPriority=1
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateDevices=yes
PrivateTmp=yes
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
IPAddressDeny=any
UMask=0077
TasksMax=64
"""


class Settings:
    """What was asked for."""

    def __init__(self, path: str | None, group: str, idle_s: float | None) -> None:
        """`path` None: the usual one, and under systemd if that is there."""
        self.path = os.path.abspath(path or SERVICE)
        self.foreground = path is not None or not os.path.isdir(_SYSTEMD)
        self.group = group
        self.idle_s = idle_s


def install(settings: Settings) -> Iterator[str]:
    """A line for each thing that was done.  Raises PrivilegeError or EnvironmentProblem."""
    _need_root()
    try:
        grp.getgrnam(settings.group)
    except KeyError:
        _call("groupadd", "--system", settings.group)
        yield (
            f"made the group {settings.group}; sudo usermod --append --groups {settings.group}"
            " NAME takes somebody in"
        )
    make(RECORDER)
    if not os.path.isdir(_SYSTEMD):
        yield "there is no systemd here: sudo pcache service start serves in the foreground"
        return
    for name, text in units(settings):
        path = f"{_UNITS}/{name}"
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        yield f"wrote {path}"
    _call("systemctl", "daemon-reload")
    _call("systemctl", "enable", "--now", "pcache.socket")
    yield f"the recorder listens at {settings.path}"


def units(settings: Settings) -> Iterator[tuple[str, str]]:
    """Names and texts of systemd's, for the command that this process is."""
    command = f"{sys.executable} -IS {os.path.abspath(sys.argv[0])}"
    for kind, text in (("socket", _SOCKET_UNIT), ("service", _SERVICE_UNIT)):
        yield (
            f"pcache.{kind}",
            text.format(path=settings.path, group=settings.group, command=command),
        )


def start(settings: Settings) -> Iterator[str]:
    """Serves, in the foreground; or has systemd do so.  Raises as `install`."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        passed = _socket.socket(fileno=_LISTEN_FD)
        Service(passed, _IDLE_S if settings.idle_s is None else settings.idle_s).run()
        return
    _need_root()
    if not settings.foreground:
        _call("systemctl", "start", "pcache.socket")
        yield f"the recorder listens at {settings.path}"
        return
    try:
        gid = grp.getgrnam(settings.group).gr_gid
    except KeyError:
        raise EnvironmentProblem(
            f"there is no group {settings.group}", "sudo pcache service install makes it"
        ) from None
    if image.kept(image.image_key()) is None:
        make(RECORDER)
    try:
        listening = listen(settings.path, gid)
        held = remove_afterwards(settings.path)
        service = Service(listening, settings.idle_s, (held,))
        yield f"the recorder listens at {settings.path}"
        service.run()
    except OSError as error:
        if isinstance(error, FileExistsError):
            raise EnvironmentProblem(
                f"the service cannot listen at {settings.path}: {error.strerror}",
                "--socket names another place",
            ) from error
        raise EnvironmentProblem(
            f"the service cannot run: {error.strerror}", "`sudo pcache doctor` tells what mends it"
        ) from error


def stop(settings: Settings) -> Iterator[str]:
    """Raises as `install`."""
    _need_root()
    if not os.path.isdir(_SYSTEMD):
        raise EnvironmentProblem(
            "there is no systemd here", "end the process that serves in the foreground"
        )
    _call("systemctl", "stop", "pcache.socket", "pcache.service")
    yield "the recorder is stopped"


def status(settings: Settings) -> tuple[str, bool]:
    """Whether the service answers to this user, in words too."""
    probes = Probes(LEAST_RING)
    if not probes.connect(settings.path):
        return probes.failure or f"nobody listens at {settings.path}", False
    try:
        probes.ready()
    except (PrivilegeError, EnvironmentProblem) as error:
        return str(error), False
    finally:
        probes.close()
    return f"the recorder answers at {settings.path}", True


def _need_root() -> None:
    if not is_root():
        raise PrivilegeError("this needs root", "put sudo in front: sudo pcache service ...")


def _call(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise EnvironmentProblem(f"{command[0]} is missing") from None
    except subprocess.CalledProcessError as error:
        raise EnvironmentProblem(f"{' '.join(command)}: {error.stderr.strip()}") from error
