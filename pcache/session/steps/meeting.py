"""What a program will work on is looked at before it runs, while it is there: under `run`, where it
waits to be decided.

A guess costs some microseconds, and proves nothing by itself: what is learnt is the content of one
version of a file, which counts if the program turns out to have read that version.
"""

from __future__ import annotations

import contextlib
import os
from itertools import islice
from stat import S_ISDIR, S_ISREG

from pcache.linux.looks import identity
from pcache.memo.questions import xattrs_value
from pcache.model import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pcache.store.digests import DigestCache

_ARGUMENTS = 64
_BYTES = 1 << 20  # hashed in 0.1 ms
_SPACES = (b" ", b"\n")
_WORDS = bytes.maketrans(b"<>|&;()'\"`$={},", b" " * 15)
"""Makes spaces of what shells and other languages put between names."""
_REWRITING = frozenset(
    b"ruff black isort autoflake autopep8 docformatter pyupgrade yapf prettier eslint biome "
    b"gofmt rustfmt clang-format shfmt".split()
)
"""Programs that rewrite the files of a directory as they read them."""
_FILES = 2000


def meet(digests: DigestCache, argv: tuple[bytes, ...], cwd: bytes) -> None:
    """Looks at what a program was told to work on: `sort -o FILE FILE` will have replaced it before
    its first event arrives, `dd of=FILE conv=notrunc` changed it, and
    `sh -c "read x <FILE; echo $x >FILE"` both.

    Where its directory is not known, relative names are tried in our own, the command's: a wrong
    guess costs a stat.
    """
    rewrites = any(os.path.basename(word) in _REWRITING for word in argv[:3])
    for name in _names(argv[1:_ARGUMENTS]):
        path = os.path.join(cwd, name)
        with contextlib.suppress(OSError, ValueError):
            status = os.stat(path)
            if S_ISREG(status.st_mode):
                _meet_file(digests, path, status)
            elif rewrites and S_ISDIR(status.st_mode):
                for file in islice(_files(path), _FILES):
                    with contextlib.suppress(OSError):
                        _meet_file(digests, file, os.lstat(file))


def _names(words: Iterable[bytes]) -> Iterator[bytes]:
    """What in arguments may be names of files: of `sh -c TEXT` the words of the text."""
    for word in words:
        if any(space in word for space in _SPACES):
            yield from islice(dict.fromkeys(word.translate(_WORDS).split()), _ARGUMENTS)
        else:
            name, equals, value = word.partition(b"=")
            yield value if equals else name


def _files(directory: bytes) -> Iterator[bytes]:
    """Regular files below a directory, but for hidden ones and what is installed by others."""
    for place, directories, files in os.walk(directory):
        directories[:] = [
            name for name in directories if name[:1] != b"." and name != b"node_modules"
        ]
        yield from (os.path.join(place, name) for name in files if name[:1] != b".")


def _meet_file(digests: DigestCache, path: bytes, status: os.stat_result) -> None:
    """What `sed -i FILE` looks at: the content, and whether there are access control lists."""
    if not S_ISREG(status.st_mode) or status.st_size > _BYTES:
        return
    digests.file_digest(path, status)
    if digests.settled(status):
        # By descriptor: the path may lead elsewhere by now.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            if identity(os.fstat(file)) == identity(status):
                attributes = xattrs_value(file, follow=True)
                digests.values[Kind.XATTRS + identity(status)] = attributes
        finally:
            os.close(file)
