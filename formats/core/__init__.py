"""What every format is built of."""
