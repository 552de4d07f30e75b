"""Programs people build with behave in the sandbox as they do without pcache."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

JAVA = "class Hello { public static void main(String[] a) { System.out.println(6 * 7); } }"
NODE = (
    "const fs = require('fs'); fs.promises.readFile('/etc/hostname')"
    ".then(b => console.log(b.length, require('child_process').execSync('echo 7').toString()))"
)
PERL = "use Cwd; print `echo 6`, getcwd() eq '/' ? 1 : 2, qq(\\n)"
PYTHON = (
    "import asyncio, multiprocessing as m, subprocess as s\n"
    "async def f():\n"
    "    p = await asyncio.create_subprocess_exec('echo', '6', stdout=-1)\n"
    "    return (await p.communicate())[0]\n"
    "print(asyncio.run(f()), m.Pool(2).map(abs, [-1, -2]), s.run('exit 3', shell=True).returncode)"
)
CMAKE = (
    "printf 'cmake_minimum_required(VERSION 3.13)\\nproject(p C)\\nadd_executable(p p.c)\\n' "
    ">CMakeLists.txt; echo 'int main(void){return 5;}' >p.c; "
    "cmake -S . -B b >log 2>&1 && cmake --build b >log2 2>&1; b/p; echo $?"
)
GIT = (
    "git -c init.defaultBranch=m init -q . && echo 1 >f && git add f && "
    "git -c user.name=a -c user.email=a@b commit -qm 1 && git log --format=%s && git status -s"
)
UNIX = (
    "import os, socket, threading\n"
    "a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))\n"
    "s = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen(); print(os.path.exists('s'))"
)

APT = r"""
mkdir -p repo/p/DEBIAN state/lists/partial cache/archives/partial etc
printf '%s\n' 'Package: pcache-probe' 'Version: 1' 'Architecture: all' 'Maintainer: a <a@b>' \
 'Description: x' >repo/p/DEBIAN/control
dpkg-deb -b repo/p repo/probe.deb >/dev/null
sum=$(sha256sum repo/probe.deb | cut -d' ' -f1)
(cat repo/p/DEBIAN/control; printf 'Filename: ./probe.deb\nSize: %s\nSHA256: %s\n\n' \
 "$(stat -c %s repo/probe.deb)" $sum) >repo/Packages
echo "deb [trusted=yes] file:$PWD/repo ./" >etc/sources
options="-o Dir::State=$PWD/state -o Dir::Cache=$PWD/cache -o Dir::State::status=/dev/null \
-o Dir::Etc::SourceList=$PWD/etc/sources -o Dir::Etc::SourceParts=/dev/null \
-o APT::Sandbox::User=root"
apt-get -qq $options update && apt-get -qq $options download pcache-probe; echo $?; ls *.deb
"""
"""From a source of packages on disk: no test depends on the network."""

COMMANDS: dict[str, list[str]] = {
    "apt-get download": ["sh", "-c", APT],
    "cmake": ["sh", "-c", CMAKE],
    "gcc": ["sh", "-c", "echo 'int main(void){return 4;}' >a.c && gcc -O1 a.c -o a; ./a; echo $?"],
    "git": ["sh", "-c", GIT],
    "java": ["sh", "-c", f"echo '{JAVA}' >Hello.java && java -Xshare:auto Hello.java"],
    "make": [
        "sh",
        "-c",
        "printf 'all: a b\\na b:\\n\\techo $@ >$@\\n' >Makefile; make -sj2; cat a b",
    ],
    "node": ["node", "-e", NODE],
    "perl": ["perl", "-e", PERL],
    "python": ["/usr/bin/python3", "-c", PYTHON],
    "unix sockets": ["/usr/bin/python3", "-c", UNIX],
    "own filter": ["/usr/bin/python3", "-c", "OWN"],
}
OWN_FILTER = (
    "import ctypes, os, struct\n"
    "libc = ctypes.CDLL(None, use_errno=True)\n"
    "libc.prctl(38, 1, 0, 0, 0)\n"
    "code = struct.pack('=HBBI', 6, 0, 0, 0x7fff0000)\n"
    "keep = ctypes.create_string_buffer(code)\n"
    "program = struct.pack('=HxxxxxxQ', 1, ctypes.addressof(keep))\n"
    "buffer = ctypes.create_string_buffer(program)\n"
    "print(libc.syscall(317, 1, 0, ctypes.byref(buffer)), os.system('exit 3') >> 8)\n"
)
"""What man(1) and browsers do: a filter of their own on top of ours, and programs under it."""
COMMANDS["own filter"][-1] = OWN_FILTER


@pytest.mark.parametrize(
    "options", [(), ("--no-network", "--deterministic")], ids=["default", "all"]
)
@pytest.mark.parametrize("name", COMMANDS)
def test_program(pcache: str, tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    words = COMMANDS[name]
    if shutil.which(words[0]) is None or (
        words[0] == "sh" and shutil.which(name.split(maxsplit=1)[0]) is None
    ):
        pytest.skip(f"{name} is not installed")
    results = []
    for kind, prefix in (("plain", []), ("replay", [pcache, "replay", "-q", *options])):
        directory = tmp_path / kind
        directory.mkdir()
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
        done = subprocess.run(
            [*prefix, *words],
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        results.append((done.returncode, done.stdout, done.stderr))
    assert results[0][0] == 0, results[0]
    assert results[1] == results[0]
