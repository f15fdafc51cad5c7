"""Databases and disks: what was backed up, the times it can go back to, and how it stands."""
