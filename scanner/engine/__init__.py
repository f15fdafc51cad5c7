"""Read every byte once, measure, and gather evidence."""
