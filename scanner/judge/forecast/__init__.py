"""When the next backup is due, how large it will be, and whether it fits."""
