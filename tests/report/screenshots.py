"""Make the two screenshots of a page: python tests/report/screenshots.py report.html desktop.png mobile.png [address]

The address is what stands behind `#`, e.g. `step=6&frame=8`; it decides what is on screen.
"""

import sys
from pathlib import Path

from devtools import Chromium

DESKTOP, MOBILE = (1400, 900), (390, 800)


def screenshots(page: Path, desktop: Path, mobile: Path, address: str = "") -> None:
    """Write PNGs of the page at 1400 × 900 and at 390 × 800 (CSS pixels, one device pixel each)."""
    for (width, height), place in ((DESKTOP, desktop), (MOBILE, mobile)):
        with Chromium(width, height) as browser:
            browser.open(page, address)
            place.write_bytes(browser.screenshot())


if __name__ == "__main__":
    page, desktop, mobile, *address = sys.argv[1:]
    screenshots(Path(page), Path(desktop), Path(mobile), *address)
