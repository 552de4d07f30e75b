"""The recorder's programs, kept in the kernel from one session to the next.

The kernel's verifier takes 0.1 s for them each time they are loaded, more than all else that
starting to record needs.  So the first session pins them in the BPF file system, and later ones
open them by name.  Pinned programs are attached to nothing: while nobody records they cost no
time, only the memory of their maps (16 MB).  One session at a time has them, by a lock that the
kernel takes away when it dies; for others that run meanwhile more are pinned, up to `_MOST`; who
comes after those loads its own.

Where there is no BPF file system, and it cannot be mounted, each session loads its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
from collections.abc import Callable

from pcache.recorder import bpf
from pcache.recorder.image import MAPS, TRACEPOINTS, image_key, kept
from pcache.recorder.loaded import Loaded, load
from pcache.recorder.protocol import LEAST_RING

BPFFS = "/sys/fs/bpf"
_PREFIX = "pcache-"
_NOSUID_NODEV_NOEXEC = 2 | 4 | 8  # linux/mount.h

_libc = ctypes.CDLL(None, use_errno=True)

_MOST = 4
"""How many are pinned for sessions that run at once."""
_PROGRAMS = tuple(function for _, function in TRACEPOINTS)


def of_this_kernel(make: Callable[[bytes], None] | None = None) -> Loaded:
    """Maps and programs, pinned or loaded.  `make` is asked to compile them if they are not kept.

    Raises OSError.
    """
    key = image_key()

    def loaded() -> Loaded:
        found = kept(key)
        if found is None and make is not None:
            # Where that is not permitted the compiler would say so, in its way.
            os.close(bpf.map_create(bpf.MAP_TYPE_RINGBUF, 0, 0, LEAST_RING))
            make(b"recorder")
            found = kept(key)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "the probes could not be compiled")
        return load(found)

    return obtain(key, loaded)


def obtain(key: str, load: Callable[[], Loaded], directory: str = BPFFS) -> Loaded:
    """The pinned maps and programs of this key, or else those that `load` gives, which are pinned
    if that is possible.

    Raises what `load` raises.
    """
    for name in _names(key):
        lock = _lock(directory, name)
        if lock is not None:
            break
    else:
        return load()
    path = os.path.join(directory, _PREFIX + name)
    loaded = _open(path)
    if loaded is None:
        try:
            loaded = load()
        except BaseException:
            os.close(lock)
            raise
        _pin(path, loaded)
        _remove_others(directory, key)
    loaded.lock = lock
    return loaded


def _names(key: str) -> list[str]:
    """Under which it may be pinned."""
    return [key, *(f"{key}-{number}" for number in range(2, _MOST + 1))]


def _lock(directory: str, name: str) -> int | None:
    """The lock on what is pinned under a name; None if somebody has it or nothing can be pinned."""
    path = os.path.join(directory, _PREFIX + name)
    fd = -1
    try:
        if not os.path.ismount(directory):
            # As systemd, bpftool and iproute2 do.
            _mount(os.fsencode(directory))
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        status = os.fstat(fd)
        if status.st_uid or status.st_mode & 0o077:
            raise PermissionError(errno.EPERM, "others may have put programs there", path)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(status, os.stat(path)):
            raise FileNotFoundError(errno.ENOENT, "another version removed it meanwhile", path)
    except OSError:
        if fd >= 0:
            os.close(fd)
        return None
    return fd


def _mount(place: bytes) -> None:
    if _libc.mount(b"bpf", place, b"bpf", ctypes.c_ulong(_NOSUID_NODEV_NOEXEC), b"mode=0700"):
        raise OSError(ctypes.get_errno(), "mount")


def _open(path: str) -> Loaded | None:
    """What is pinned in a directory; None if it is not whole."""
    found = Loaded({}, {})
    try:
        for name in MAPS:
            found.maps[name] = bpf.pinned(f"{path}/{name}")
        for name in _PROGRAMS:
            found.programs[name] = bpf.pinned(f"{path}/{name}")
    except OSError:
        found.close()
        return None
    return found


def _pin(path: str, loaded: Loaded) -> None:
    """Best effort: what is not whole is not used."""
    with contextlib.suppress(OSError):
        _unpin(path)
        for name, fd in (*loaded.maps.items(), *loaded.programs.items()):
            bpf.pin(f"{path}/{name}", fd)


def _unpin(path: str) -> None:
    for name in os.listdir(path):
        os.unlink(f"{path}/{name}")


def _remove_others(directory: str, key: str) -> None:
    """What other versions of pcache left behind, as far as nobody uses it."""
    for name in os.listdir(directory):
        other = name.removeprefix(_PREFIX)
        if other in (name, *_names(key)):
            continue
        lock = _lock(directory, other)
        if lock is None:
            continue
        path = os.path.join(directory, name)
        with contextlib.suppress(OSError):
            _unpin(path)
            os.rmdir(path)
        os.close(lock)
