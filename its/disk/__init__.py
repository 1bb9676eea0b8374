"""Files that are whole or absent: a run's folder and its store, and `.npz` archives read without trust.

Every room above may read and write here; this one knows names, bytes and checksums, and nothing of what they mean.
"""
