"""Experiments: one file each; given a model, each builds a plan, hands it to an executor and reads the rows.

None is here yet.
"""
