"""The recipes' files import each other by name, as their commands do."""

import sys
from pathlib import Path

RECIPES = Path(__file__).parents[2] / "recipes"
sys.path[:0] = [str(RECIPES / name) for name in ("embedded", "student", "frontier")]
