"""Figures, tables and the report of an experiment, made from run folders alone.

It meets `its.disk`; no network, search or configuration is loaded here, and matplotlib only where something is drawn.
"""
