"""Find the files of a repository and say what they are."""
