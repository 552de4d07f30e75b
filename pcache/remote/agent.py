"""The process that talks to a shared store on behalf of a session.

It has the user's rights and cannot get any others, so that what a server sends is parsed where no
root's rights are; it may hang or die without anybody else doing so; and it works while the command
runs.  It ends when the session closes the socket.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from pcache.errors import PcacheError
from pcache.remote import frames, trust
from pcache.remote.errors import Missing, RemoteError, Untrusted
from pcache.remote.objects import ObjectShelf
from pcache.remote.pulled import pulled
from pcache.settings.remote import Remote, unpacked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.remote.fetching import Fetcher
    from pcache.remote.names import Name
    from pcache.remote.shelf import Shelf
    from pcache.store.index import Store

_Answer = tuple[bytes, ...]


class Agent:
    """Answers one session until it goes."""

    def __init__(self, fd: int, directory: bytes, remote: Remote) -> None:
        env = dict(os.environb)
        self._frames = frames.Frames(fd)
        self._trust = trust.Trust(remote.trust)
        signer = trust.find_signer(remote.key, env)
        if signer is not None:
            self._trust.add(signer.public)
        self._shelf: Shelf = ObjectShelf(remote, env)
        self._directory = directory
        self._url = remote.url
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._store: Store | None = None
        self._fetcher: Fetcher | None = None
        """Both are made when contents are wanted: manifests come without them."""
        self._done: SimpleQueue[_Answer] = SimpleQueue()
        self._waited: list[tuple[bytes, list[Name]]] = []
        """Requests for contents that are on their way."""

    def run(self) -> None:
        """Ends when the session does."""
        poll = select.poll()
        poll.register(self._frames.fd, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        try:
            while True:
                for fd, _ in poll.poll():
                    if fd == self._bell:
                        os.read(self._bell, 8)
                        self._take()
                    else:
                        self._frames.read()
                # Sending takes requests in, too.
                for frame in self._frames.waiting():
                    self._request(*frame)
        except frames.Closed:
            pass
        if self._fetcher is not None:
            self._fetcher.take()
        if self._store is not None:
            self._store.close()

    def _fetching(self) -> Fetcher:
        if self._fetcher is None:
            from pcache.counters import Counters
            from pcache.remote.fetching import Fetcher
            from pcache.remote.known import Known
            from pcache.settings.rules import Policy
            from pcache.store.index import Store

            self._store = Store.open(self._directory, counters=Counters(), policy=Policy())
            self._fetcher = Fetcher(
                self._shelf,
                self._store.blobs,
                Known(self._directory, self._url),
                self._store.directory + b"/tmp",
                self._ring,
            )
        return self._fetcher

    def _ring(self) -> None:
        os.eventfd_write(self._bell, 1)

    def _request(self, number: bytes, what: bytes, *arguments: bytes) -> None:
        if what in (frames.CONTENTS, frames.PREFETCH):
            urgent = what == frames.CONTENTS
            wanted = [frames.name_and_size(one) for one in arguments]
            try:
                fetcher = self._fetching()
            except PcacheError as error:
                if urgent:
                    self._frames.send((number, frames.FAILED, str(error).encode(errors="replace")))
                return
            for name, size in wanted:
                fetcher.want(name, size, urgent)
            if urgent:
                self._waited.append((number, [name for name, _ in wanted]))
                self._answer_contents()
            return
        work = {
            frames.MANIFESTS: self._manifests,
            frames.PATH_SETS: self._path_sets,
            frames.OUTCOME: self._outcome,
        }[what]
        Thread(target=self._look_up, args=(number, work, arguments[0]), daemon=True).start()

    def _look_up(self, number: bytes, work: Callable[[Name], _Answer], name: Name) -> None:
        try:
            answer = work(name)
        except Untrusted as error:
            answer = (frames.DOUBTED, str(error).encode())
        except Exception as error:
            answer = (frames.FAILED, str(error).encode(errors="replace"))
        self._done.put((number, *answer))
        self._ring()

    def _manifests(self, command: Name) -> _Answer:
        try:
            found = self._shelf.manifests(command)
        except RemoteError:
            found = pulled(self._directory, command)
            if not found:
                raise
        return (frames.FOUND, *self._believed(trust.MANIFEST, found))

    def _believed(self, kind: bytes, objects: list[bytes]) -> list[bytes]:
        """What is in those objects that are believed.  Raises Untrusted if none of them is."""
        opened: list[bytes] = []
        doubt: Untrusted | None = None
        for signed in objects:
            try:
                opened.append(self._trust.opened(kind, signed))
            except Untrusted as error:
                doubt = doubt or error
        if not opened and doubt is not None:
            raise doubt
        return opened

    def _path_sets(self, call: Name) -> _Answer:
        """Path sets that are believed; each begins with the name of its call."""
        return (frames.FOUND, *self._believed(trust.PATH_SET, self._shelf.path_sets(call)))

    def _outcome(self, state: Name) -> _Answer:
        signed = self._shelf.outcome(state)
        if signed is None:
            return (frames.NOTHING,)
        return (frames.FOUND, self._trust.opened(trust.OUTCOME, signed))

    def _take(self) -> None:
        if self._fetcher is not None:
            self._fetcher.take()
            self._answer_contents()
        while not self._done.empty():
            self._frames.send(self._done.get())

    def _answer_contents(self) -> None:
        fetcher = self._fetching()
        waited, self._waited = self._waited, []
        for number, names in waited:
            states = [fetcher.state(name) for name in names]
            digests = [state for state in states if isinstance(state, bytes)]
            errors = [state for state in states if isinstance(state, RemoteError)]
            if errors:
                self._frames.send((number, _how(errors[0]), str(errors[0]).encode()))
            elif len(digests) == len(names):
                self._frames.send((number, frames.FOUND, *digests))
            else:
                self._waited.append((number, names))


def _how(error: RemoteError) -> bytes:
    if isinstance(error, Untrusted):
        return frames.DOUBTED
    return frames.NOTHING if isinstance(error, Missing) else frames.FAILED


def main() -> None:
    """Arguments: descriptor, directory of the store; the settings are in a variable."""
    fd, directory = sys.argv[-2:]
    settings = unpacked(bytes.fromhex(os.environb.pop(frames.SETTINGS).decode()))
    try:
        Agent(int(fd), os.fsencode(directory), settings).run()
    except (PcacheError, ImportError) as error:
        # Whatever is asked is answered by why nothing can be.
        _refuse(int(fd), error)
    os._exit(0)


def _refuse(fd: int, error: Exception) -> None:
    link = frames.Frames(fd)
    try:
        while True:
            number, what, *_ = link.receive()
            if what != frames.PREFETCH:
                link.send((number, frames.FAILED, str(error).encode(errors="replace")))
    except frames.Closed:
        return
