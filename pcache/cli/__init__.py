"""One verb a file: each has SUMMARY, HELP and run(args)."""
