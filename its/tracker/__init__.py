"""Trackers, which hear of runs as they begin and end: none, and Weights & Biases in a process of its own.

A tracker reads a run's files and the report's series; it never changes a result, and no other room waits for it.
"""
