"""One self-contained HTML page of a store: overview, laws, claims, learning curves, all stages."""

from mfscale.report.page.contents import Contents, CurveOf, FittedLaws
from mfscale.report.page.render import page_of, write_page

__all__ = ["Contents", "CurveOf", "FittedLaws", "page_of", "write_page"]
