"""Twins for smoke runs: tiny random checkpoints and data, written in the formats that the real loaders read.

A `smoke` entry of a configuration names one as `make`, and only there; no choice of a group lives here.
"""
