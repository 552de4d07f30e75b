from parts.two import two


def one(n: int) -> int:
    return two(n) + 1
