"""The page of an output folder: one offline file.

A recorded run shows what the model believed at every denoising step (`page_data` folds the record into plain JSON,
`page_bytes` dresses that JSON in the view); an experiment shows its claims and figures (`findings_data`,
`findings_bytes`).  `render` knows which.  A gallery (`gallery_data`, `gallery_bytes`) shows cases of several folders.
Bytes come out; the store writes them.
"""

from collections.abc import Mapping

from stepscope.report.data import page_data
from stepscope.report.findings import findings_data
from stepscope.report.findings_page import findings_bytes
from stepscope.report.gallery import gallery_data
from stepscope.report.gallery_page import gallery_bytes
from stepscope.report.page import page_bytes
from stepscope.store import Record

__all__ = ["findings_bytes", "findings_data", "gallery_bytes", "gallery_data", "page_bytes", "page_data", "render"]


def render(record: Record, figures: Mapping[str, bytes] | None = None) -> bytes:
    """Return the page of a record.

    Args:
        record: What `stepscope.store.open_record` returns.
        figures: SVG files by name, for an experiment.
    """
    if record.result["experiment"] in ("record", "generate"):
        return page_bytes(page_data(record))
    return findings_bytes(findings_data(record, figures))
