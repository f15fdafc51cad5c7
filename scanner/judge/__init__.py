"""Turn evidence into verdicts: pure functions, one rule table."""
