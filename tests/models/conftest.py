"""A sample that fits the tiny pipelines of this room."""

import pytest
import tiny


@pytest.fixture
def tiny_sample() -> tiny.TinySample:
    return tiny.TinySample()
