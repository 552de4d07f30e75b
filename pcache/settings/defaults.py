"""What pcache takes for granted: defaults that decide which differences matter.

Everything here is data with its reason, so that it can be shown to users.
"""

from __future__ import annotations

PARALLEL = (b"PARALLEL_PID", b"PARALLEL_TMP")
"""Number of its process, and a name that it has found to be free for a temporary directory."""

IGNORED_ENVIRONMENT: tuple[tuple[bytes, str], ...] = (
    # Shell bookkeeping.
    (b"_", "shell bookkeeping: path of the command itself, set anew for each command"),
    (b"SHLVL", "shell bookkeeping: how deeply shells are nested"),
    (
        b"OLDPWD",
        "shell bookkeeping: the directory before the last cd (a fact where a shell goes there)",
    ),
    # The terminal's identity.  What changes output stays: TERM, COLORTERM, COLUMNS, LINES.
    (b"GPG_TTY", "terminal: its device name"),
    (b"SSH_TTY", "terminal: its device name"),
    (b"MAKE_TERMOUT", "terminal: its device name, as make passes it on"),
    (b"MAKE_TERMERR", "terminal: its device name, as make passes it on"),
    (b"WINDOWID", "terminal: number of its window"),
    (b"TERM_SESSION_ID", "terminal: its session"),
    (b"ITERM_SESSION_ID", "terminal: its session"),
    (b"TMUX", "terminal: socket of the multiplexer"),
    (b"TMUX_PANE", "terminal: pane of the multiplexer"),
    (b"STY", "terminal: session of screen"),
    (b"WINDOW", "terminal: window of screen"),
    (b"GNOME_TERMINAL_*", "terminal: its window and bus name"),
    (b"KONSOLE_DBUS_*", "terminal: its window and bus name"),
    (b"KITTY_*", "terminal: its window and process"),
    (b"ALACRITTY_*", "terminal: its window and socket"),
    (b"WEZTERM_*", "terminal: its pane and socket"),
    # The login session.
    (b"SSH_CLIENT", "session: where the user logged in from"),
    (b"SSH_CONNECTION", "session: where the user logged in from"),
    (b"SSH_AUTH_SOCK", "session: socket of the key agent (using it is uncacheable anyway)"),
    (b"SSH_AGENT_PID", "session: process of the key agent"),
    (b"DBUS_SESSION_BUS_ADDRESS", "session: socket of the bus (using it is uncacheable anyway)"),
    (b"SESSION_MANAGER", "session: socket of the desktop"),
    (b"DESKTOP_STARTUP_ID", "session: how the desktop started the program"),
    (b"XDG_SESSION_*", "session: its number and kind"),
    (b"XDG_SEAT*", "session: its seat"),
    (b"XDG_VTNR", "session: its console"),
    (b"INVOCATION_ID", "session: number of the service's start"),
    (b"JOURNAL_STREAM", "session: inode of the log socket"),
    (b"SUDO_*", "session: who called sudo, and how"),
    # What started it.
    *(
        (name, "GNU parallel: made up each time (what shows it is not recorded)")
        for name in PARALLEL
    ),
    # pcache itself.
    (b"PCACHE_*", "settings of pcache"),
)
"""(name, reason) of variables that are no part of a call.  A final `*` stands for any ending.
"""

MAKE_FLAGS: tuple[tuple[bytes, str], ...] = (
    (b"MAKEFLAGS", "number of jobs and the jobserver's descriptors are left out"),
    (b"MFLAGS", "number of jobs and the jobserver's descriptors are left out"),
    (b"CARGO_MAKEFLAGS", "number of jobs and the jobserver's descriptors are left out"),
)
"""(name, reason) of variables that are part of a call without their parallelism."""

NEVER_CACHED: tuple[tuple[bytes, str], ...] = (
    (b"date", "its purpose is to differ each time"),
    (b"uuidgen", "its purpose is to differ each time"),
    (b"uuid", "its purpose is to differ each time"),
    (b"mktemp", "its purpose is to differ each time"),
    (b"mcookie", "its purpose is to differ each time"),
    (b"shuf", "its purpose is to differ each time"),
    (b"sleep", "takes time on purpose"),
    (b"ps", "shows the machine's present state"),
    (b"pgrep", "shows the machine's present state"),
    (b"pidof", "shows the machine's present state"),
    (b"top", "shows the machine's present state"),
    (b"htop", "shows the machine's present state"),
    (b"uptime", "shows the machine's present state"),
    (b"free", "shows the machine's present state"),
    (b"vmstat", "shows the machine's present state"),
    (b"iostat", "shows the machine's present state"),
    (b"df", "shows the machine's present state"),
    (b"lsof", "shows the machine's present state"),
    (b"dmesg", "shows the machine's present state"),
    (b"who", "shows who is logged in"),
    (b"w", "shows who is logged in"),
    (b"w.procps", "shows who is logged in"),
    (b"users", "shows who is logged in"),
    (b"last", "shows who was logged in"),
)
"""(base name, reason) of programs that always run.  What starts them is cached all the same: time
and chance are no inputs anywhere else either, and else no `configure` would ever be skipped."""

IGNORED_PATHS: tuple[tuple[bytes, tuple[bytes, ...], str], ...] = (
    *(
        (
            name,
            (b"*/.npm/_logs", b"*/.npm/_logs/*"),
            "a log of each run, named by the time; old ones go",
        )
        for name in (b"npm", b"npx", b"npm-cli.js", b"npx-cli.js")
    ),
    (
        b"jest",
        (b"*/jest_*/perf-cache-*",),
        "how long each test took, by which the next run puts them in order",
    ),
)
"""(base name, globs, reason): files that are neither input nor output of these programs."""

_AGES_OF_FD = (b"--changed-within", b"--changed-before", b"--newer", b"--older")

AGES: tuple[tuple[bytes, tuple[bytes, ...], str], ...] = (
    (
        b"find",
        (
            *(b"-mtime", b"-mmin", b"-atime", b"-amin", b"-ctime", b"-cmin", b"-used"),
            *(b"-newerat", b"-newerBt", b"-newerct", b"-newermt"),
            *(b"-newerac", b"-newerBc", b"-newerca", b"-newercB"),
        ),
        "compares times with the present one, or of access and birth",
    ),
    *((name, _AGES_OF_FD, "compares times with the present one") for name in (b"fd", b"fdfind")),
    (b"touch", (b"-d", b"--date"), "may be given a time relative to the present one"),
    (
        b"git",
        (b"--since", b"--after", b"--until", b"--before"),
        "may be given a time relative to the present one",
    ),
    (
        b"tar",
        (b"-N", b"--newer", b"--after-date", b"--newer-mtime"),
        "may be given a time relative to the present one",
    ),
    (b"tmpreaper", (), "removes what is old"),
    (b"tmpwatch", (), "removes what is old"),
    (b"logrotate", (), "goes by the age of files"),
)
"""(base name, options, reason): these programs always run when given one of the options (or in any
case if there is none), unless its value is a date and nothing else."""

_OF_LS = (
    *(b"-l", b"-t", b"-g", b"-n", b"-o", b"-c", b"-u"),
    *(b"--full-time", b"--sort", b"--format", b"--time", b"--time-style"),
)

STRICT: tuple[tuple[bytes, tuple[bytes, ...], str], ...] = (
    (b"tar", (), "writes modification times into archives"),
    (b"zip", (), "writes modification times into archives"),
    (b"cpio", (), "writes modification times into archives"),
    (b"7z", (), "writes modification times into archives"),
    (b"bsdtar", (), "writes modification times into archives"),
    *(
        (name, (), "writes modification times into archives")
        for name in (
            *(b"bsdcpio", b"pax", b"star", b"7za", b"7zr", b"7zz", b"rar", b"lha", b"arj", b"dar"),
            *(b"mksquashfs", b"mkfs.erofs", b"genisoimage", b"mkisofs", b"xorriso", b"xorrisofs"),
        )
    ),
    (b"gzip", (), "writes the modification time into its output"),
    (b"pigz", (), "writes the modification time into its output"),
    *(
        (name, (b"U",), "compares modification times, and writes them into archives")
        for name in (
            *(b"ar", b"gcc-ar", b"llvm-ar"),
            *(b"x86_64-linux-gnu-ar", b"aarch64-linux-gnu-ar"),
        )
    ),
    (b"rsync", (), "compares and copies modification times"),
    (b"stat", (), "prints modification times"),
    *((name, _OF_LS, "prints modification times or sorts by them") for name in (b"ls", b"dir")),
    (b"vdir", (), "prints modification times"),
    *((name, (), "may print modification times") for name in (b"exa", b"eza", b"lsd")),
    (b"tree", (b"-D", b"-t", b"-c", b"--timefmt", b"--sort"), "prints modification times"),
    (b"date", (b"-r", b"--reference"), "prints a modification time"),
    (
        b"find",
        (
            *(b"-newer", b"-mtime", b"-mmin", b"-ls", b"-fls", b"-printf", b"-fprintf"),
            *(b"-anewer", b"-cnewer", b"-ctime", b"-cmin", b"-atime", b"-amin"),
        ),
        "compares or prints modification times",
    ),
    (b"touch", (b"-r", b"--reference"), "copies modification times"),
    (b"install", (b"-p", b"-C", b"--preserve-timestamps", b"--compare"), "copies times"),
    (b"cp", (b"-p", b"-a", b"-u", b"--preserve", b"--archive", b"--update"), "copies times"),
    (b"mv", (b"-u", b"--update"), "compares modification times"),
    (b"diff", (b"-u", b"-c", b"-U", b"-C", b"--unified", b"--context"), "prints file times"),
    (b"du", (b"--time",), "prints modification times"),
    (b"pr", (), "prints the modification time"),
    (b"git", (), "compares modification times with those in its index"),
    (b"waf", (), "remembers modification times"),
    (b"scons", (), "remembers modification times"),
    (b"go", (), "remembers modification times"),
    (b"org.gradle.launcher.GradleMain", (), "Gradle: remembers modification times"),
    (b"org.gradle.wrapper.GradleWrapperMain", (), "Gradle: remembers modification times"),
    (b"hg", (), "compares modification times with those in its dirstate"),
    (b"svn", (), "compares modification times with those of its database"),
    (b"cvs", (), "compares modification times with those it has noted"),
    *((name, (b"-l", *_AGES_OF_FD), "goes by times") for name in (b"fd", b"fdfind")),
    (b"unzip", (b"-u", b"-f"), "compares modification times"),
    *((name, (), "prints modification times") for name in (b"enscript", b"a2ps")),
)
"""(base name, options, reason): for these programs, when given one of the options (or always if
there is none), the modification times of what they look at are inputs too.  A letter without a dash
is one of the first argument, wherever it stands in it."""

VERSIONED: tuple[tuple[bytes, tuple[bytes, ...], str], ...] = (
    *(
        (name, (b"-i", b"-c", b"--inode", b"--time"), "prints inode numbers or times of change")
        for name in (b"ls", b"dir", b"vdir")
    ),
    (
        b"find",
        (
            *(b"-inum", b"-ls", b"-fls", b"-printf", b"-fprintf", b"-cnewer", b"-ctime", b"-cmin"),
            *(b"-newerc", b"-newerac", b"-newermc", b"-newerBc"),
        ),
        "compares or prints inode numbers or times of change",
    ),
    (b"tar", (b"-g", b"--listed-incremental"), "compares times of change"),
    (b"du", (b"--time",), "may print times of change"),
    (b"tree", (b"-c", b"--inodes", b"--sort"), "prints inode numbers or times of change"),
)
"""(base name, options, reason): for these programs, when given one of the options, the inode
numbers and times of change of what they look at are inputs too."""

_OF_FIND = (
    *(b"-size", b"-empty", b"-links", b"-samefile", b"-ls", b"-fls", b"-printf", b"-fprintf"),
)

COMPILERS = (
    *(b"gcc", b"g++", b"cc", b"c++", b"c89", b"c99", b"cpp", b"clang", b"clang++"),
    *(b"cc1", b"cc1plus", b"cc1obj", b"f951", b"gfortran", b"collect2", b"lto1"),
    *(b"ld", b"ld.bfd", b"ld.gold", b"ld.lld", b"lld", b"ld.mold", b"mold", b"as"),
    *(b"lto-wrapper", b"gnat1", b"gnatbind", b"rustc"),
)
"""Base names without version and target: they ask their terminal how messages are to look, which is
no input if they have written nothing."""

UNWEIGHED: tuple[tuple[bytes, tuple[bytes, ...], str], ...] = (
    *(
        (name, (), "looks at its old output only to replace it")
        for name in (
            *COMPILERS,
            *(b"ar", b"ranlib", b"strip", b"objcopy", b"bison", b"flex"),
            *(b"javac", b"jar", b"go", b"compile", b"link", b"asm"),
            *(b"m4", b"sed", b"awk", b"mawk", b"gawk", b"sort", b"split", b"csplit", b"tee"),
            *(b"gzip", b"bzip2", b"xz", b"zstd", b"lz4", b"unzip", b"tar", b"patch"),
        )
    ),
    *(
        (name, (), "goes by what kind of file it finds")
        for name in (
            *(b"mv", b"install", b"ln", b"rm", b"unlink", b"rmdir", b"mkdir", b"touch"),
            *(b"chmod", b"env", b"xargs", b"nice", b"nohup", b"timeout", b"flock", b"setsid"),
        )
    ),
    *(
        (name, (), "goes by times")
        for name in (
            *(b"make", b"gmake", b"bmake", b"ninja", b"samu", b"cargo", b"cmake", b"ctest"),
        )
    ),
    (b"cp", (b"-d",), "goes by what kind of file it finds"),
    (b"find", _OF_FIND, "goes by names and kinds of files"),
)
"""(base name without version and target, options, reason): these programs do not go by the sizes
and numbers of names of files that they look at and then replace or remove, unless they are given
one of the options, or go by times."""

MTIME_ORDER: tuple[tuple[bytes, str], ...] = (
    (b"make", "decides by which file is newer"),
    (b"gmake", "decides by which file is newer"),
    (b"bmake", "decides by which file is newer"),
    (b"pmake", "decides by which file is newer"),
    (b"remake", "decides by which file is newer"),
    (b"ckati", "decides by which file is newer"),
    (b"n2", "decides by which file is newer"),
    (b"jam", "decides by which file is newer"),
    (b"bjam", "decides by which file is newer"),
    (b"b2", "decides by which file is newer"),
    (b"ninja", "decides by which file is newer"),
    (b"samu", "decides by which file is newer"),
    (b"rake", "decides by which file is newer"),
    (b"snakemake", "decides by which file is newer"),
    (b"cargo", "decides by which file is newer"),
    (b"javac", "compiles what it uses of other classes if their source is newer"),
    (b"org.codehaus.plexus.classworlds.launcher.Launcher", "Maven: decides by what is newer"),
    (b"org.apache.tools.ant.launch.Launcher", "Ant: decides by which file is newer"),
)
"""(base name, reason) of programs for which it is an input which file is newer than which."""
