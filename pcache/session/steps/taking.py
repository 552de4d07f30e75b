"""The memory that the recorder hands events over in, as who takes them has it."""

from __future__ import annotations

import os

from pcache.recorder.area import CONSUMED, LOST, PAGE, PRODUCED, Area, Broken


class Taking(Area):
    """The client's view."""

    @property
    def lost(self) -> int:
        """Events that did not fit, as far as the recorder has told."""
        return self.words[LOST]

    def pending(self) -> int:
        """Bytes to be taken.  Raises Broken."""
        filled = self.words[PRODUCED] - self.position
        if not 0 <= filled <= self.size:
            raise Broken("more was written than there is room")
        return filled

    def move(self, file: int | None, count: int) -> None:
        """Takes the next `count` bytes out, to where `file` is positioned.  Raises OSError."""
        done = 0
        while file is not None and done < count:
            at = (self.position + done) % self.size
            moved = os.sendfile(file, self.fd, PAGE + at, min(count - done, self.size - at))
            if not moved:
                raise OSError("the area of events has become shorter")
            done += moved
        self.position += count
        self.words[CONSUMED] = self.position
