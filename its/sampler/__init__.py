"""Samplers: noise paths, spacing rules, and the rule of one step, each in closed form.

The engine calls a sampler on rows at mixed levels; models bring their noise path. No sampler calls a network.
"""
