"""The page in which a graph is computed, stepped through and changed by hand: one HTML file that needs nothing else."""
