"""The pictures and the floors on the pages of the tasks: docs/tasks/img/NAME.png, and the tables between two marks.

    python recipes/findings/task_pages.py             draws the pictures, and writes floors.json into docs/tasks

A picture is one test puzzle: the first frame that a model is given, then every fourth frame of each right answer.  Two
runs give the same bytes.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stepscope import tasks
from stepscope.tasks import Sample

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "tasks"
SHOWN = {
    "maze": (6, {"size": 7}),
    "maze-two-goals": (3, {"size": 9}),
    "find-shape": (5, {}),
    "tic-tac-toe": (4, {"wins": 2}),
    "size-pattern": (3, {"answers": 2}),
    "rotate": (2, {"answers": 1, "example": "other"}),
    "occlusion": (1, {}),
    "bounce": (8, {"bounces": 3}),
}
"""Seed and dials of the puzzle that stands for a family; no number rests on it."""
FRAMES = (4, 8, 12, 16)
SCALE, GAP, MARGIN, CAPTION = 2, 12, 16, 34
PAPER, INK, SOFT, LINE = (251, 250, 247), (23, 25, 30), (92, 97, 107), (227, 224, 216)
MARKS = ("<!-- floors -->", "<!-- /floors -->")
FLOORS = ("still", "teleport", "ghost", "random")


def picture(sample: Sample) -> Image.Image:
    """The first frame and every right answer, a row each."""
    side = SCALE * sample.first_frame.shape[0]
    columns, rows = 1 + len(FRAMES), len(sample.solutions)
    width = 2 * MARGIN + columns * side + (columns - 1) * GAP + GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + rows * (side + CAPTION) - 8), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    _place(sheet, pen, sample.first_frame, (MARGIN, MARGIN))
    pen.text((MARGIN, MARGIN + side + 6), "given", fill=INK, font=font)
    for row, video in enumerate(sample.solutions):
        top = MARGIN + row * (side + CAPTION)
        for column, frame in enumerate(FRAMES):
            left = MARGIN + (column + 1) * (side + GAP) + GAP
            _place(sheet, pen, video[frame], (left, top))
            pen.text((left, top + side + 6), _caption(frame, row, rows, column), fill=SOFT, font=font)
    return sheet.quantize(64, dither=Image.Dither.NONE)


def _place(sheet: Image.Image, pen: ImageDraw.ImageDraw, frame: np.ndarray, corner: tuple[int, int]) -> None:
    enlarged = Image.fromarray(frame).resize((SCALE * frame.shape[1], SCALE * frame.shape[0]), Image.Resampling.NEAREST)
    sheet.paste(enlarged, corner)
    (left, top), (wide, high) = corner, enlarged.size
    pen.rectangle((left - 1, top - 1, left + wide, top + high), outline=LINE)


def _caption(frame: int, row: int, rows: int, column: int) -> str:
    which = f"answer {'AB'[row]}, " if rows > 1 and column == 0 else ""
    return f"{which}frame {frame}"


def floor_table(rows: list[dict], name: str | None = None) -> str:
    """The floors of one task, or of all, as a table in markdown."""
    return "\n".join(_lines(rows, name))


def _lines(rows: list[dict], name: str | None) -> Iterator[str]:
    yield f"| {'task and dials' if name is None else 'dials'} | its own answer | {' | '.join(FLOORS)} |"
    yield "|---" * (2 + len(FLOORS)) + "|"
    cells = {(row["task"], json.dumps(row["dials"]), row["video"]): row for row in rows}
    for task, dials in dict.fromkeys((row["task"], json.dumps(row["dials"])) for row in rows):
        if name in (None, task):
            found = [cells[task, dials, video] for video in ("solution", *FLOORS)]
            numbers = " | ".join(f"{row['success']:.0f} ({row['progress']:.2f})" for row in found)
            yield f"| {_head(task, json.loads(dials), name)} | {numbers} |"


def _head(task: str, dials: dict, name: str | None) -> str:
    told = ", ".join(f"{dial}={value}" for dial, value in dials.items())
    return (told or "default") if name else f"[`{task}`](tasks/{task}.md)" + (f" {told}" if told else "")


def insert(page: Path, table: str) -> None:
    """Put a table between the marks of a page."""
    text = page.read_text(encoding="utf-8")
    before, after = text.split(MARKS[0])[0], text.split(MARKS[1])[1]
    page.write_text(f"{before}{MARKS[0]}\n{table}\n{MARKS[1]}{after}", encoding="utf-8")


def main() -> None:
    """Draw, and insert."""
    rows = json.loads((ROOT / "benchmarks" / "floors.json").read_text())["rows"]
    (PAGES / "img").mkdir(parents=True, exist_ok=True)
    for name, (seed, dials) in SHOWN.items():
        picture(tasks.get(name).sample(seed, **dials)).save(PAGES / "img" / f"{name}.png", optimize=True)
        insert(PAGES / f"{name}.md", floor_table(rows, name))
    insert(PAGES.parent / "tasks.md", floor_table(rows))


if __name__ == "__main__":
    main()
