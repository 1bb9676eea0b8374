"""Columns of a curve by which rooms that write it and rooms that read it know what it holds."""

HELD_OUT = "report_"
"""Beginning of the columns of a curve, and of a shard's arrays in memory, that hold a held-out verifier's scores."""

ORACLE = "oracle"
"""Column of a curve whose images an oracle chose: 1."""

REMOTE = "remote"
"""Column of a curve for which a model elsewhere was asked: 1."""

VERDICT = "verdict_"
"""Beginning of the columns of a curve that hold what a judge outside found: the share of images that are correct."""

BY_TAG = "_by_tag"
"""End of the column with the mean of the shares of each tag."""

NOTE = "note_"
"""Beginning of the arrays and of the columns of a curve that hold what a search noted of its images."""
