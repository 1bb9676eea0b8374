"""Work on runs that were made elsewhere: parts of one run are joined, a run is packed for others, and one is audited.

Nothing here trusts a folder that came from another machine: what it says is held against what it holds.
"""
