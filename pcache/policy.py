"""What pcache takes for granted: defaults that decide which differences do not matter.

Everything here is data with its reason, so that it can be shown to users.
"""

from __future__ import annotations

IGNORED_ENVIRONMENT: tuple[tuple[bytes, str], ...] = (
    # Shell bookkeeping.
    (b"_", "shell bookkeeping: path of the command itself, set anew for each command"),
    (b"SHLVL", "shell bookkeeping: how deeply shells are nested"),
    (b"OLDPWD", "shell bookkeeping: the directory before the last cd"),
    # The terminal's identity.  What changes output stays: TERM, COLORTERM, COLUMNS, LINES.
    (b"GPG_TTY", "terminal: its device name"),
    (b"SSH_TTY", "terminal: its device name"),
    (b"MAKE_TERMOUT", "terminal: its device name, as make passes it on"),
    (b"MAKE_TERMERR", "terminal: its device name, as make passes it on"),
    (b"WINDOWID", "terminal: number of its window"),
    (b"TERM_SESSION_ID", "terminal: its session"),
    (b"ITERM_SESSION_ID", "terminal: its session"),
    (b"TMUX", "terminal: socket of the multiplexer"),
    (b"TMUX_PANE", "terminal: pane of the multiplexer"),
    (b"STY", "terminal: session of screen"),
    (b"WINDOW", "terminal: window of screen"),
    (b"GNOME_TERMINAL_*", "terminal: its window and bus name"),
    (b"KONSOLE_DBUS_*", "terminal: its window and bus name"),
    (b"KITTY_*", "terminal: its window and process"),
    (b"ALACRITTY_*", "terminal: its window and socket"),
    (b"WEZTERM_*", "terminal: its pane and socket"),
    # The login session.
    (b"SSH_CLIENT", "session: where the user logged in from"),
    (b"SSH_CONNECTION", "session: where the user logged in from"),
    (b"SSH_AUTH_SOCK", "session: socket of the key agent (using it is uncacheable anyway)"),
    (b"SSH_AGENT_PID", "session: process of the key agent"),
    (b"DBUS_SESSION_BUS_ADDRESS", "session: socket of the bus (using it is uncacheable anyway)"),
    (b"SESSION_MANAGER", "session: socket of the desktop"),
    (b"DESKTOP_STARTUP_ID", "session: how the desktop started the program"),
    (b"XDG_SESSION_*", "session: its number and kind"),
    (b"XDG_SEAT*", "session: its seat"),
    (b"XDG_VTNR", "session: its console"),
    (b"INVOCATION_ID", "session: number of the service's start"),
    (b"JOURNAL_STREAM", "session: inode of the log socket"),
    (b"SUDO_*", "session: who called sudo, and how"),
    # pcache itself.
    (b"PCACHE_*", "settings of pcache"),
)
"""(name, reason) of variables that are no part of a call.  A final `*` stands for any ending.

PWD is left out too, but only where it names the working directory itself, which the call holds
anyway; a PWD that reaches it by a symbolic link counts (compilers write it into debug data)."""

MAKE_FLAGS: tuple[tuple[bytes, str], ...] = (
    (b"MAKEFLAGS", "number of jobs and the jobserver's descriptors are left out"),
    (b"MFLAGS", "number of jobs and the jobserver's descriptors are left out"),
    (b"CARGO_MAKEFLAGS", "number of jobs and the jobserver's descriptors are left out"),
)
"""(name, reason) of variables that are part of a call without their parallelism."""
