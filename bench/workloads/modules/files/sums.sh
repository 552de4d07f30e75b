# Some programs of many inputs each, behind a pipe.
find texts -type f -print0 | sort -z | xargs -0 -n 2000 sha1sum >sums
