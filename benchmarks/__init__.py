"""How fast this program reads, beside what the machine and other programs do in the same run.

``python -m benchmarks`` runs everything; ``RESULTS.md`` holds what came out.
"""
