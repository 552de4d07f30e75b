"""One verb a file: each has SUMMARY, HELP, OPTIONS (for `options.parse`) and run(args)."""
