"""Classifiers of images, by the format of their checkpoints.

Verifiers select and guide by them, and extractors measure with others that are held out.
"""
