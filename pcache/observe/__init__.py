"""What events mean: executions (process tree), their accesses, their conditions (records)."""
