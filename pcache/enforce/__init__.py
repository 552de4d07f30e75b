"""Deciding executions as they start: seccomp notification, exit substitution, supervision."""
