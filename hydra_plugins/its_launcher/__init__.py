"""Hydra finds this because it is in the namespace package hydra_plugins."""
