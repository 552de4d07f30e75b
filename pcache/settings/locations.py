"""Where configuration files are.

The user's is `$XDG_CONFIG_HOME/pcache/config.toml` (default `~/.config`), a project's is the
`.pcache.toml` nearest above the working directory, which must belong to the user.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.linux.user import User

PROJECT_FILE = b".pcache.toml"


def user_file(user: User) -> bytes:
    """Where the user's configuration belongs."""
    config = user.env.get(b"XDG_CONFIG_HOME", b"")
    if not config.startswith(b"/"):
        config = user.home + b"/.config"
    return config + b"/pcache/config.toml"


def project_file(user: User, cwd: bytes) -> bytes | None:
    """The nearest project file; None if there is none, or it is not the user's own (whoever can
    write it decides what is replayed)."""
    directory = cwd
    while True:
        path = os.path.join(directory, PROJECT_FILE)
        try:
            st = os.stat(path)
        except OSError:
            if directory in (b"/", b""):
                return None
            directory = os.path.dirname(directory)
            continue
        return path if st.st_uid == user.uid else None
