"""What a backup's file name says: the weakest source of knowledge."""
