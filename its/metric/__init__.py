"""Metrics of finished images: an extractor makes features, a reference holds those of real images, metrics compare.

All are pure functions of uint8 images; no metric meets a search, an engine or a verifier.
"""
