"""Differential fuzzing: random projects, random edits, and every way to run a command, compared."""
