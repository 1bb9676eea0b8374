"""Verifiers: they score images and guesses during a search, one file each.

The engine calls them; what they score is never what measures the result. A verifier meets no search and no metric.
"""
