"""Figures: draw(result) -> Figure, one file an experiment, redrawn from the store without a model.

None is here yet.
"""
