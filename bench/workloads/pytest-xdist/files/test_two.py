from parts.two import two


def test_two() -> None:
    assert two(3) == 6
