"""Executing a stored call again in a scratch copy of the file system, and comparing what it did."""
