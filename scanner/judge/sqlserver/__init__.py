"""SQL Server backups: linked by log sequence number, restored in order, and advised on."""
