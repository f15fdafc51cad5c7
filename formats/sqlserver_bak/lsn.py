"""Log sequence numbers: where in the transaction log something stands."""

from typing import NamedTuple

LSN_BYTES = 10
# RESTORE HEADERONLY shows numeric(25,0): the block in ten decimal digits, the slot in five.
BLOCK_STEP = 10**10
SLOT_STEP = 10**5


class Lsn(NamedTuple):
    """Virtual log file, block of 512 bytes within it, record within the block; ordered so."""

    sequence: int
    block: int
    slot: int

    @property
    def number(self) -> int:
        """SQL Server's decimal form."""
        return (self.sequence * BLOCK_STEP + self.block) * SLOT_STEP + self.slot

    @property
    def decimal(self) -> str | None:
        """SQL Server's decimal form as text; None where there is no LSN."""
        return str(self.number) if any(self) else None


def lsn_at(stored: bytes) -> Lsn:
    """Decode an LSN as SQL Server stores it: 4, 4 and 2 bytes."""
    return Lsn(
        int.from_bytes(stored[:4], "little"),
        int.from_bytes(stored[4:8], "little"),
        int.from_bytes(stored[8:10], "little"),
    )
