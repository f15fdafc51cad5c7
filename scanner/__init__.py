"""Everything that touches the world: survey, engine, ledger, judge, outlets."""
