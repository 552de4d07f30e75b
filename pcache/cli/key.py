"""The verb `key`."""

from __future__ import annotations

import os
import sys

from pcache.cli.options import parse
from pcache.errors import UsageError

SUMMARY = "make a key that signs what is pushed, or show its public part"

HELP = """\
usage: pcache key [OPTION...] new FILE
       pcache key [OPTION...] show FILE

`new` makes a signing key in FILE, which must not exist, and prints its public part; `show` prints
that of a key that is there.  What is pushed is signed with the key that `key` of the table [remote]
names, or that is in the variable PCACHE_SIGNING_KEY (the content of such a file).  Others believe
it if their `trust` lists the public part.

options:
      --json   as JSON: see docs/json.md
  -h, --help   this text

exit status: 0, 2 wrong usage, 125 FILE cannot be made or is no key

example:
  pcache key new ~/.config/pcache/signing.key
"""

OPTIONS = {"--json": "json"}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, rest = parse(args, OPTIONS)
    if len(rest) != 2 or rest[0] not in ("new", "show"):
        raise UsageError("key makes a key or shows one", "usage: pcache key new|show FILE")
    what, name = rest
    from pcache.remote.errors import RemoteError

    try:
        from pcache.remote.trust import Signer, new_secret, public_text

        if what == "new":
            secret = new_secret()
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(secret)
        else:
            with open(name, "rb") as file:
                secret = file.read(1024)
        public = public_text(Signer(secret).public).decode()
    except OSError as error:
        raise RemoteError(f"{name}: {error.strerror}") from error
    except ImportError as error:
        raise RemoteError(f"no keys without it: {error}", "pip install 'pcache[remote]'") from error
    if options.get("json"):
        from pcache.cli.asking import write_model
        from pcache.report.schema_upkeep import PublicKey

        write_model(PublicKey(file=name, public=public))
    else:
        sys.stdout.write(f"{public}\n")
    return 0
