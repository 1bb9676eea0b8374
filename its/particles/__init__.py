"""The objects that a search holds: the image in the making, its particles, and the verbs that make them.

A particle is a handle without a tensor; `its.engine` makes its rows when they are evaluated. Searches meet this room
and no other; prices come from the sampler.
"""
