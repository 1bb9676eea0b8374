"""Launchers' side of a sweep: which runs are left to do, their submission to SLURM, and the wait for them.

It plans with `its.config`, knows a run by its folder alone, and asks SLURM through `its.process`.
"""
