def two(n: int) -> int:
    return n * 2
