"""A clinic's backups, night by night, on a disk that is too small: ``python -m tests.story``."""
