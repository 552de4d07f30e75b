"""What is configured: files, rules for programs, defaults."""
