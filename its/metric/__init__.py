"""Metrics: features of finished images → statistics → number, as pure functions."""
