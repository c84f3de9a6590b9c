"""The page of a record: one offline file that shows what the model believed at every denoising step.

`page_data` folds a record into plain JSON, `page_bytes` dresses that JSON in the view, `render` does both.  Bytes come
out; the store writes them.
"""

from stepscope.report.data import page_data
from stepscope.report.page import page_bytes, render

__all__ = ["page_bytes", "page_data", "render"]
