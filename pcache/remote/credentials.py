"""Where the credentials for a shared store are: variables, and the files of AWS's tools.

A variable counts also with `PCACHE_` before its name: those are no part of any call, so that the
programs of a build are the same whoever may push.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.settings.remote import Remote

_VARIABLES = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"),
    *("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_APPLICATION_CREDENTIALS"),
    *("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"),
    "AZURE_STORAGE_ENDPOINT",
    *("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"),
)
_PREFIXES = {"s3": ("AWS_",), "gs": ("GOOGLE_",), "az": ("AZURE_",)}
_ENDPOINTS = {"s3": "AWS_ENDPOINT_URL", "az": "AZURE_STORAGE_ENDPOINT"}
_OF_FILES = {
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
    "region": "AWS_REGION",
    "endpoint_url": "AWS_ENDPOINT_URL",
}


def configuration(remote: Remote, env: dict[bytes, bytes]) -> dict[str, str]:
    """What `obstore` is to be told.  Settings come before variables, those before files."""
    scheme = os.fsdecode(remote.url).partition(":")[0]
    prefixes = _PREFIXES.get(scheme, ())
    found: dict[str, str] = {}
    if scheme == "s3":
        found.update(_from_files(env))
    for name in _VARIABLES:
        value = _variable(env, name)
        if value and name.startswith(prefixes):
            found[name] = value
    if remote.endpoint and scheme in _ENDPOINTS:
        found[_ENDPOINTS[scheme]] = os.fsdecode(remote.endpoint)
    if scheme == "s3":
        if remote.region:
            found["AWS_REGION"] = os.fsdecode(remote.region)
        if "AWS_REGION" not in found:
            found["AWS_REGION"] = found.pop("AWS_DEFAULT_REGION", "us-east-1")
    return {name.lower(): value for name, value in found.items()}


def without_passwords(text: str) -> str:
    """A text for people, which may go to a log, with nothing of who is named in its URLs."""
    import re

    return re.sub(r"://\S*@", "://...@", text)


def _variable(env: dict[bytes, bytes], name: str) -> str:
    own = env.get(f"PCACHE_{name}".encode())
    return os.fsdecode(own or env.get(name.encode()) or b"")


def _from_files(env: dict[bytes, bytes]) -> dict[str, str]:
    """Of the profile that AWS_PROFILE names, as the AWS CLI finds it."""
    profile = _variable(env, "AWS_PROFILE") or "default"
    home = os.fsdecode(env.get(b"HOME", b""))
    found: dict[str, str] = {}
    for name, default, section in (
        ("AWS_CONFIG_FILE", "config", profile if profile == "default" else f"profile {profile}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", profile),
    ):
        path = _variable(env, name) or (f"{home}/.aws/{default}" if home else "")
        if not os.path.exists(path):
            continue
        from configparser import ConfigParser
        from configparser import Error as ConfigParserError

        parser = ConfigParser(interpolation=None)
        try:
            parser.read(path)
            values = dict(parser[section]) if parser.has_section(section) else {}
        except (ConfigParserError, OSError, UnicodeDecodeError):
            continue
        found.update({_OF_FILES[key]: text for key, text in values.items() if key in _OF_FILES})
    return found
