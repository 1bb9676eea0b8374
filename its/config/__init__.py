"""Configurations: from the words of a command line to a checked `Blueprint`, without torch.

Words are composed by Hydra (`composed.py`), kept from running code (`guard.py`, `rules.py`, `hydra_node.py`,
`instantiate.py`) and from holding secrets (`secrets.py`), checked, and named by what decides a run's images
(`identity.py`, `folder.py`). `its.run` builds what a blueprint says; a plan counts it.
"""
