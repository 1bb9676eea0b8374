"""Models: published networks read from their checkpoints, and how each is made into the engine's `Denoiser`.

`denoiser.py` has the contract; every other module is one format of checkpoint or one network.
"""
