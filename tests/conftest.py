"""Shared by every room's tests: one thread, and a sample."""

import pytest
import torch

from closed_form import Puzzle

torch.set_num_threads(1)  # tiny models on several threads wait for each other


@pytest.fixture
def puzzle() -> Puzzle:
    """A sample of no task: 5 frames of 8 x 8 pixels."""
    return Puzzle()
