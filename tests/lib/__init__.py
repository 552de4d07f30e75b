"""The differential framework: commands run plainly and under pcache, and compared in everything."""
