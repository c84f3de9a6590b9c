"""The recipe's files import each other by name, as its commands do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes" / "embedded"))
