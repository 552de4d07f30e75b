"""The privileged half of recording: it loads, attaches and empties the probes, and nothing else.

It opens no file that a user can write, reads no configuration and parses no event.  Who wants a
command recorded talks to it over a socket (docs/recorder-protocol.md).  It imports the standard
library and this package alone.
"""

SERVICE = "/run/pcache/recorder.sock"
"""Where the service listens."""
