"""The man page and the shells' completions, made of what `--help` is made of."""
