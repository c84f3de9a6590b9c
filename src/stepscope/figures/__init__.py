"""Figures: draw(result) -> Figure, one file an experiment, redrawn from the store without a model.

    from stepscope.figures import commitment
    figure = commitment.draw(stepscope.open(DIR).result)

Needs matplotlib, the extra `figures`; without it, a figure says so when it is drawn.
"""
