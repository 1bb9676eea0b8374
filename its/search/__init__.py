"""Search methods, one file each: coroutines over one image, which read as their papers do.

A search holds particles and asks for compute with `yield advance(...)` and `yield reward(...)`; it meets neither the
network nor the engine, neither Hydra nor the disk. `search.py` is the contract, `parts/` what several methods share.
"""
