"""Pictures of fitted laws, of the size and quality that a journal column asks for."""

from mfscale.report.errors import ReportError
from mfscale.report.forest import parameters_by_group
from mfscale.report.laws import error_against_labels, fine_tuned_against_pretrained
from mfscale.report.naming import column_label, group_names
from mfscale.report.save import save

__all__ = [
    "ReportError",
    "column_label",
    "error_against_labels",
    "fine_tuned_against_pretrained",
    "group_names",
    "parameters_by_group",
    "save",
]
