-- NAS\SQL/Orders: restored to 2026-11-21 20:40:03+01:00
-- Paths are those of the repository where it was scanned.
RESTORE DATABASE [Orders]
    FROM DISK = N'/srv/backups/a full.bak'
    WITH FILE = 1, NORECOVERY;
RESTORE LOG [Orders]
    FROM DISK = N'/srv/backups/c log.trn'
    WITH FILE = 1, NORECOVERY;
RESTORE DATABASE [Orders] WITH RECOVERY;
