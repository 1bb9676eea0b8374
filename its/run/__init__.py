"""One run, which is a folder: building it, making its shards, measuring them, and what each file of arrays holds.

It meets the engine, the metrics and the disk; launchers and everything that works on finished runs stand above it.
"""
