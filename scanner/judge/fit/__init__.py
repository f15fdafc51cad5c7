"""Whether an image fits what it came from."""
