"""Parts of scripts/gpu_benchmark.py: the networks, the window of an engine that is watched, and the table."""
