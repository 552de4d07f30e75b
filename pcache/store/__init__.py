"""Where records live: an index in SQLite, contents by digest, and remembered digests of files."""
