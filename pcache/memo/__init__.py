"""Memoization itself: does a recorded outcome hold now, and putting it in place."""
