"""Particles: the image in the making, the handles on its states, and the verbs that make and move them.

A particle is a handle without a tensor; `its.engine` makes its rows when they are evaluated. Searches meet this room
and no other; prices come from the sampler.
"""
