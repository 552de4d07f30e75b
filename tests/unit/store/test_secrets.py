"""Which variables are taken for secrets, by their name or by what is in their value."""

from __future__ import annotations

import pytest

from pcache.store.secrets import looks_secret, passwords

SECRET = [
    "MYSQL_PWD",
    "DB_PW",
    "STRIPE_KEY",
    "OPENAI_KEY",
    "SSH_KEY",
    "JWT",
    "APP_JWT",
    "BEARER",
    "HTTP_AUTHORIZATION",
    "AUTHORIZATION",
    "COOKIE",
    "SESSION_COOKIES",
    "USERPWD",
    "TWILIO_SID",
    "aws_secret_access_key",
    "GITHUB_TOKEN",
    "DB_PASS",
    "AWS_CREDS",
]
HARMLESS = [
    "PWD",
    "OLDPWD",
    "KEYBOARD",
    "HOTKEYS",
    "PUBLIC_KEY",
    "SSH_PUBLIC_KEY",
    "CACHE_KEY",
    "PRIMARY_KEY",
    "GPG_KEY",
    "SIDE",
    "INSIDE",
    "SESSION",
    "XAUTHORITY",
    "GIT_AUTHOR_NAME",
    "PATH",
    "HOME",
    "AUTHOR",
    "SSH_AUTH_SOCK",
    "KEYS",
]


@pytest.mark.parametrize("name", SECRET)
def test_by_name(name: str) -> None:
    assert looks_secret(name.encode(), b"x")
    assert not looks_secret(name.encode(), b"x", (b"!" + name.encode(),))


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_names(name: str) -> None:
    assert not looks_secret(name.encode(), b"x")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"postgres://me:hunter2@db/x", [b"hunter2"]),
        (b"http://me:a@proxy:80 https://you:b@proxy", [b"a", b"b"]),
        (b"redis://:hunter2@cache:6379/0", [b"hunter2"]),
        (b"https://proxy:8080/a@b", []),
        (b"ssh://git@host/x:y", []),
        (b"me:hunter2@host", []),
    ],
)
def test_by_value(value: bytes, found: list[bytes]) -> None:
    assert looks_secret(b"DATABASE_URL", value) == bool(found)
    assert passwords(value) == found
