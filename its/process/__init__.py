"""The process that a run lives in: its device, its workers, its signals, its source tree, and how scripts fail.

It meets the operating system and SLURM's commands, and of our rooms only `its.disk`.
"""
