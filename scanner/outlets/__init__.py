"""Say what the ledger knows: pure rendering of documents."""
