"""What is known, in SQLite: evidence, baselines, verdicts."""
