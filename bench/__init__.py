"""Benchmarks: what recording costs, what replay saves, and how that compares with other tools."""
