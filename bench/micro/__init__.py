"""Micro benchmarks: one number each, for one part of pcache."""
