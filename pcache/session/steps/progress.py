"""The live line of a long command: what runs, what was brought back, what that saved so far.

It has the terminal's last row to itself: the rows above become the scrolling region (DECSTBM), so
that whatever the command prints scrolls there as ever, and never over or behind the line.  Each
drawing is one write(2), which the kernel keeps together, and leaves the cursor where it was.
Programs that use the whole screen are left alone: they take the terminal out of its line mode.
Where the command is stopped (Ctrl-Z), the shell gets the whole screen: the row is given back before
this process stops, and taken again when it continues in the foreground.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from pcache.session.steps.closing import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

AFTER = 2.0
"""Seconds that a command runs without a line."""
_EVERY = 0.5
_ROWS = 5
"""A terminal with fewer has no room for a line."""

_SAVE, _RESTORE = b"\x1b7", b"\x1b8"
_CLEAR = b"\x1b[2K"
# IND moves the cursor down, or scrolls if it is in the last row; RI brings it back up.
_MAKE_ROOM = b"\x1bD\x1bM"
_LFLAG = 3


class Progress:
    """Draws in a thread from `start` until `stop`."""

    def __init__(
        self, state: Callable[[], tuple[int, int, int, int]], after: float = AFTER, fd: int = 2
    ) -> None:
        """`state` is asked for each drawing: `pcache.session.steps.live.State`."""
        self._state = state
        self._after = after
        self._fd = fd
        self._began = time.monotonic_ns()
        self._size: os.terminal_size | None = None
        """Of the terminal, while the line has its last row."""
        self._lock = threading.RLock()
        """Held while the terminal is written to, and `_size` changes."""
        self._pid = os.getpid()
        self._stops = False
        """Whether SIGTSTP is ours to handle."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pcache-progress", daemon=True)

    def start(self) -> None:
        """Begins to wait for the time at which there is to be a line; in the main thread."""
        self._stops = signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL
        if self._stops:
            signal.signal(signal.SIGTSTP, self._suspend)
        # A thread inherits the mask: signals must go to the thread that heeds them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop(self) -> None:
        """Ends it, and gives the row back."""
        self._stop.set()
        self._thread.join()
        self._release()
        if self._stops:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Stops this process, as the signal would have.  Children that were forked meanwhile have
        this handler too, until they execute something."""
        if os.getpid() == self._pid:
            self._release()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._suspend)  # it has been continued

    def _run(self) -> None:
        pause = self._after
        while not self._stop.wait(pause):
            pause = _EVERY
            try:
                with self._lock:
                    if self._is_free():
                        self._draw()
                    else:
                        self._release()
            except (OSError, ValueError):
                return

    def _is_free(self) -> bool:
        """Whether the terminal is in its line mode, and ours to write to."""
        import termios

        try:
            lines = termios.tcgetattr(self._fd)[_LFLAG] & termios.ICANON
            return bool(lines) and os.tcgetpgrp(self._fd) == os.getpgrp()
        except termios.error:
            return False

    def _draw(self) -> None:
        size = os.get_terminal_size(self._fd)
        if size.lines < _ROWS:
            self._release()
            return
        out = b""
        if size != self._size:
            # Setting the region puts the cursor into a corner.
            out = _MAKE_ROOM + _SAVE + b"\x1b[1;%dr" % (size.lines - 1) + _RESTORE
            self._size = size
        text = self._text().encode(errors="replace")[: size.columns - 1]
        out += _SAVE + b"\x1b[%d;1H" % size.lines + _CLEAR + b"\x1b[7m" + text + b"\x1b[0m"
        os.write(self._fd, out + _RESTORE)

    def _text(self) -> str:
        running, ran, hits, saved = self._state()
        elapsed = seconds(time.monotonic_ns() - self._began)
        now = f"{running} running, " if running >= 0 else ""
        told = f" pcache: {elapsed}, {now}{ran} ran, {hits} brought back"
        return told + (f", saved {seconds(saved)} so far " if hits else " ")

    def _release(self) -> None:
        """Gives the row back, as empty as it was."""
        with self._lock:
            if self._size is None:
                return
            last = b"\x1b[%d;1H" % self._size.lines
            self._size = None
            try:
                os.write(self._fd, _SAVE + b"\x1b[r" + last + _CLEAR + _RESTORE)
            except OSError:
                return
