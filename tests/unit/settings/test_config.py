"""Configuration: where it is found, what it says about a program, and that it costs little."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pcache.counters import Counters
from pcache.enforce.sandbox import Sandbox
from pcache.errors import ConfigError, UsageError
from pcache.linux.descriptors import OwnFds
from pcache.linux.user import User
from pcache.memo.decide import Decider
from pcache.settings import config, configfile
from pcache.settings.rules import CALLERS, DEFAULT, ITSELF, NO, Policy, Rule
from pcache.store.fingerprint import weak_fingerprint
from pcache.store.index import Store
from tests.conftest import CHECKOUT
from tests.lib.stores import make_call, make_record


class Home:
    """A user with a home, a project and a store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.project = path / "project"
        self.inner = self.project / "a/b"
        self.inner.mkdir(parents=True)
        (path / "cache/pcache").mkdir(parents=True)
        env = {b"XDG_CACHE_HOME": bytes(path / "cache"), b"XDG_CONFIG_HOME": bytes(path / "conf")}
        self.user = User(os.getuid(), os.getgid(), (), "me", bytes(path), env)
        self.file = path / "conf/pcache/config.toml"
        self.file.parent.mkdir(parents=True)

    def write(self, path: Path, text: str) -> None:
        path.write_text(text)
        time.sleep(0.03)  # so that its times tell it from a later version

    def load(self) -> Policy:
        return config.load(self.user, bytes(self.inner))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_nothing_configured(home: Home) -> None:
    assert home.load() is DEFAULT
    assert list((home.path / "cache/pcache").iterdir()) == []


def test_user_and_project(home: Home) -> None:
    home.write(
        home.file,
        'max_size = "2M"\ncompress = false\n[program.cc]\nstrict = true\nignore_env = ["A"]\n',
    )
    home.write(
        home.project / ".pcache.toml",
        '[program."c?"]\nstrict = false\nignore_env = ["B_*"]\nextra_inputs = ["x", "../y"]\n'
        'ignore_paths = ["log/*", "*.tmp", "/var/*"]\nnever_cache = "callers"\n'
        "[program.'/usr/bin/*']\ncache_failures = false\nnever_cache = false\n",
    )
    policy = home.load()
    assert policy.max_size == 2 << 20
    assert not policy.compress
    assert not policy.within(b"sandbox").compress
    here = bytes(home.project)
    settings = policy.settings(b"/opt/cc")
    assert settings.ignore_env == (b"A", b"B_*")
    assert settings.extra_inputs == (here + b"/x", bytes(home.path) + b"/y")
    assert settings.ignore_paths == (here + b"/log/*", b"*.tmp", b"/var/*")
    assert not settings.strict([b"cc"])
    assert (settings.never_cache, settings.cache_failures) == (CALLERS, True)
    assert policy.settings(b"/usr/bin/cc").never_cache == NO
    assert not policy.settings(b"/usr/bin/cc").cache_failures
    assert policy.settings(b"/usr/bin/date").never_cache == NO


def test_compiled_form_is_the_same_and_is_used(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.write(
        home.file,
        "compress = false\n[program.cc]\nstrict = true\nnever_cache = true\nmtime_order = false\n"
        'ignore_env=["A"]\n'
        'extra_inputs = ["/x"]\nignore_paths = ["/y"]\nallow = ["ptrace"]\n'
        '[sandbox]\nallow = ["io_uring"]\ndeny = ["32-bit", "ptrace"]\n',
    )
    first = home.load()
    monkeypatch.setattr(configfile, "compile_files", lambda paths: pytest.fail("compiled again"))
    second = home.load()
    assert second.digest == first.digest != b""
    assert (second.compress, first.compress) == (False, False)
    assert (second.allow, second.deny) == (first.allow, first.deny)
    assert (first.allow, first.deny) == ((b"io_uring",), (b"32-bit", b"ptrace"))
    assert second.settings(b"/cc").allow == (b"ptrace",)
    for name in Rule.__slots__:
        assert getattr(second.rules[0], name) == getattr(first.rules[0], name)


def test_the_last_word_about_the_sandbox(home: Home) -> None:
    home.write(home.file, '[sandbox]\ndeny = ["network", "ptrace"]\n')
    home.write(home.project / ".pcache.toml", '[sandbox]\nallow = ["ptrace"]\n')
    policy = home.load()
    assert (policy.allow, policy.deny) == ((b"ptrace",), (b"network",))
    default = Sandbox.choose().configured(policy)
    assert default.denied == {"io_uring", "network"}
    assert Sandbox.choose(["network"], ["ptrace"]).configured(policy).denied == {
        "io_uring",
        "ptrace",
    }
    with pytest.raises(UsageError):
        Sandbox.choose(["io_uring"]).configured(policy)


def test_base_dir(home: Home) -> None:
    """Two checkouts have the same records, if all paths are taken relative to it."""
    text = (
        'base_dir = "."\n[program.cc]\nextra_inputs = ["x"]\nignore_paths = ["/var/*", "log/*"]\n'
    )
    home.write(home.project / ".pcache.toml", text)
    policy = home.load()
    assert policy.base_dir == bytes(home.project)
    assert home.load().base_dir == policy.base_dir  # compiled
    assert policy.within(b"sandbox").base_dir == policy.base_dir
    other = home.path / "checkout with another name"
    other.mkdir()
    home.write(other / ".pcache.toml", text)
    moved = config.load(home.user, bytes(other))
    assert moved.base_dir == bytes(other)
    assert moved.digest == policy.digest
    here, there = (
        make_call(b"-I" + base + b"/include", env=(b"TOP=" + base, b"OTHER=" + base + b"2"))
        for base in (policy.base_dir, moved.base_dir)
    )
    assert weak_fingerprint(here, policy) == weak_fingerprint(there, moved)
    assert weak_fingerprint(here, policy) != weak_fingerprint(here, moved)
    home.write(other / ".pcache.toml", text.replace('"."', '"../checkout with another name/."'))
    assert config.load(home.user, bytes(other)).base_dir == bytes(other)
    home.write(other / ".pcache.toml", text.removeprefix('base_dir = "."'))
    assert config.load(home.user, bytes(other)).digest != policy.digest


@pytest.mark.parametrize("base", ["none", "/", ".pcache.toml"])
def test_base_dir_that_is_none(home: Home, base: str) -> None:
    home.write(home.project / ".pcache.toml", f'base_dir = "{base}"\n')
    with pytest.raises(ConfigError, match="base_dir"):
        home.load()


def test_base_dir_is_of_a_project(home: Home) -> None:
    home.write(home.file, f'base_dir = "{home.project}"\n')
    with pytest.raises(ConfigError, match="project's file"):
        home.load()


def test_changes_are_seen(home: Home) -> None:
    home.write(home.file, "[program.cc]\nstrict = true\n")
    assert home.load().settings(b"/cc").strict([b"cc"])
    home.write(home.file, "[program.cc]\nstrict = true # \n")
    same = home.load()
    home.file.write_text("[program.cc]\nstrict = false\n")
    assert not home.load().settings(b"/cc").strict([b"cc"])
    home.file.write_text("[program.cc]\nstrict = true \n")
    again = home.load()
    assert again.settings(b"/cc").strict([b"cc"])
    assert again.digest == same.digest
    home.file.unlink()
    assert home.load() is DEFAULT


def test_damaged_cache_is_compiled_again(home: Home) -> None:
    home.write(home.file, "[program.cc]\nstrict = true\n")
    home.load()
    cache = home.path / "cache/pcache/config.cache"
    assert cache.stat().st_mode & 0o777 == 0o600
    for damage in (b"", b"x" * 50, cache.read_bytes()[:-1]):
        cache.write_bytes(damage)
        assert home.load().settings(b"/cc").strict([b"cc"])


@pytest.mark.skipif(os.getuid() != 0, reason="needs a file of another user")
def test_project_file_of_another_user_is_ignored(home: Home) -> None:
    home.write(home.project / ".pcache.toml", "[program.cc]\nstrict = true\n")
    os.chown(home.project / ".pcache.toml", 12345, 12345)
    assert home.load() is DEFAULT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[program.cc]\nstrikt = true\n", "program.cc.strikt"),
        ("[program.cc]\nstrict = 'yes'\n", "program.cc.strict"),
        ("[program.cc]\nallow = ['32-bit']\n", "program.cc.allow"),
        ("[sandbox]\ndeny = ['sockets']\n", "sandbox.deny"),
        ("max_size = 'big'\n", "no size"),
        ("[program.cc]\nextra_inputs = ['x']\n", "'x' is not absolute"),
        ("[program.cc]\nnever_cache = 'sometimes'\n", "never_cache"),
        ("what is this", "line 1"),
    ],
)
def test_mistakes_are_told(home: Home, text: str, message: str) -> None:
    home.write(home.file, text)
    with pytest.raises(ConfigError, match=message) as caught:
        home.load()
    assert str(home.file) in str(caught.value)


@pytest.mark.parametrize("line", ['max_size = "1G"', "compress = false"])
def test_what_is_of_the_store_is_the_users(home: Home, line: str) -> None:
    home.write(home.project / ".pcache.toml", line + "\n")
    with pytest.raises(ConfigError, match=line.split(maxsplit=1)[0]):
        home.load()


def test_origins(home: Home) -> None:
    home.write(
        home.file,
        '# mine\nmax_size = "1G"\n\n[program.cc]\n\nstrict = true\n[program."*"]\n'
        'ignore_env = [\n  "A",\n]\n',
    )
    found = [(s.pattern, s.name, s.value, s.line) for s in configfile.settings(bytes(home.file))]
    assert found == [
        ("", "max_size", "1G", 2),
        ("cc", "strict", True, 6),
        ("*", "ignore_env", ["A"], 8),
    ]


def test_rules_are_part_of_the_call() -> None:
    call = make_call(b"a", env=(b"A=1", b"B=2"))
    ignoring = Policy((Rule(b"tool", ignore_env=(b"A",)),), digest=b"1")
    assert weak_fingerprint(call) != weak_fingerprint(call, ignoring)
    other = make_call(b"a", env=(b"A=7", b"B=2"))
    assert weak_fingerprint(call, ignoring) == weak_fingerprint(other, ignoring)
    other = make_call(b"a", env=(b"A=1", b"B=3"))
    assert weak_fingerprint(call, ignoring) != weak_fingerprint(other, ignoring)
    elsewhere = Policy((Rule(b"other", ignore_env=(b"A",)),), digest=b"2")
    assert weak_fingerprint(call, elsewhere) != weak_fingerprint(call)
    assert weak_fingerprint(call, Policy()) == weak_fingerprint(call)


def test_stored_environment_is_the_filtered_one(tmp_path: Path) -> None:
    policy = Policy((Rule(b"*", ignore_env=(b"SECRET*",)),), digest=b"1")
    with Store.open(bytes(tmp_path / "store"), policy=policy) as store:
        record = make_record()
        record.call.env = (b"SECRET_KEY=1", b"B=2")
        store.add(record)
        call = store.call(record.weak)
        assert call is not None and call.env == (b"B=2",)


def test_names_of_secrets(home: Home) -> None:
    """A project's are added to the user's; it cannot take any away."""
    home.write(home.file, 'secret_env = ["OUR_*", "!TOKENIZER*"]\n')
    home.write(home.project / ".pcache.toml", 'secret_env = ["PIN"]\n')
    for _ in range(2):  # parsed, and as it was kept
        policy = home.load()
        assert policy.secret_env == policy.within(b"x").secret_env
        assert policy.secret_env == (b"OUR_*", b"!TOKENIZER*", b"PIN")
        assert policy.digest == b""
    home.write(home.project / ".pcache.toml", 'secret_env = ["!OUR_*"]\n')
    with pytest.raises(ConfigError, match="a project can only add names"):
        home.load()


def test_never_cached_is_a_miss_of_its_own(tmp_path: Path) -> None:
    counters = Counters()
    policy = Policy((Rule(b"tool", never_cache=ITSELF),), digest=b"1")
    with Store.open(bytes(tmp_path / "store"), counters=counters, policy=policy) as store:
        decider = Decider(store, counters)
        assert decider.decide(make_call(), OwnFds()) is None
        assert decider.last_miss == "never cached"
    assert counters["miss: never cached"] == counters["misses"] == 1


def test_a_hit_with_configuration_loads_no_parser(home: Home) -> None:
    home.write(home.file, "[program.cc]\nstrict = true\n")
    home.load()
    program = (
        "import sys\n"
        "from pcache.settings import config\n"
        "from pcache.linux.user import User\n"
        "policy = config.load(User.current(), b'/')\n"
        "assert policy.rules\n"
        "bad = {'pydantic', 'tomllib', 're', 'typing', 'enum', 'dataclasses'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    env = {os.fsdecode(name): os.fsdecode(value) for name, value in home.user.env.items()}
    env |= {"HOME": str(home.path), "PYTHONPATH": str(CHECKOUT)}
    xxhash = Path(sys.modules["xxhash"].__file__ or "").parent.parent
    code = f"import sys; sys.path.append({str(xxhash)!r})\n{program}"
    done = subprocess.run(
        ["/usr/bin/python3", "-S", "-c", code],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_command_line(pcache: str, home: Home) -> None:
    env = {"XDG_CONFIG_HOME": str(home.path / "conf"), "XDG_CACHE_HOME": str(home.path / "cache")}
    env |= {"HOME": str(home.path), "PATH": "/usr/bin:/bin"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [pcache, *words],
            env=env,
            cwd=home.inner,
            capture_output=True,
            text=True,
            check=False,
        )

    assert run("config").stdout == run("config", "show").stdout
    assert 'date: never_cache = "itself"   default: ' in run("config", "show").stdout
    home.write(home.file, 'history = "9d"\n[program.cc]\nstrict = true\n')
    home.write(home.project / ".pcache.toml", '\n[program."*"]\nignore_env = ["E"]\n')
    shown = run("config", "show").stdout
    assert f'history = "9d"   {home.file}:1\n' in shown
    assert f"cc: strict = true   {home.file}:3\n" in shown
    assert f'*: ignore_env = ["E"]   {home.project}/.pcache.toml:3\n' in shown
    home.write(home.file, "nonsense\n")
    assert run("config", "show").returncode == 125
    done = run("replay", "-q", "echo", "runs")
    assert (done.returncode, done.stdout) == (0, "runs\n")
    assert f"{home.file}: " in done.stderr
    assert "the command runs without pcache" in done.stderr


def test_get_set_and_edit(pcache: str, tmp_path: Path) -> None:
    env = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "c")}
    env["VISUAL"] = "sed -i s/20G/30G/"

    def run(*words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [pcache, "config", *words], env=env, cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    assert run("get", "max_size") == (1, "", "")
    assert run("set", "max_size", "20G") == (0, "", "")
    assert run("get", "max_size") == (0, '"20G"\n', "")
    assert run("edit")[0] == 0
    assert run("get", "max_size") == (0, '"30G"\n', "")
    assert run("set", "program.make.strict", "false", "--project") == (0, "", "")
    assert run("--project", "set", "program.make.strict", "true") == (0, "", "")
    assert (tmp_path / ".pcache.toml").read_text() == "[program.make]\nstrict = true\n"
    status, _, told = run("set", "max_sise", "1G")
    assert status == 2 and "did you mean max_size?" in told
    (tmp_path / ".pcache.toml").write_text("[program.make]\nstrickt = true\n")
    status, _, told = run("show")
    assert status == 125 and "no such setting, did you mean strict?" in told
    (tmp_path / "c/pcache/config.toml").write_text('[remote]\nurl = "file:///x"\ntimeot = 1.0\n')
    status, _, told = run("show")
    assert status == 125 and "no such setting, did you mean timeout?" in told
