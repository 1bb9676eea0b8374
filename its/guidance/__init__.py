"""Guidances: methods that change the sampler's step by gradients of a verifier, one file each.

The engine builds a `GuidanceInput` from its rows and applies the `GuidanceOutput`; a guidance meets no search.
"""
