"""Scaling laws: fit them to a table, predict from them, and say how sure that is.

DataFrames in, tables out. Nothing here knows of stores, studies or training, so it is just as
useful on a CSV file from elsewhere.

>>> import pandas as pd
>>> table = pd.DataFrame({"labels": [10, 20, 40, 80], "mae": [8.0, 4.1, 2.0, 0.99]})
>>> [law] = fit(table, "power", x="labels", y="mae")
>>> float(law.predict(160)["median"].round(1)[0])
0.5
"""

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.errors import FitError
from mfscale.scaling.fitting import fit, summary
from mfscale.scaling.laws import LAWS, Law, Parameter
from mfscale.scaling.numerals import format_interval, format_number, format_percent
from mfscale.scaling.regression import Line
from mfscale.scaling.result import Fit
from mfscale.scaling.rows import Exclusion, Scalar

__all__ = [
    "LAWS",
    "Exclusion",
    "Fit",
    "FitError",
    "FitWarning",
    "Law",
    "Line",
    "Parameter",
    "Scalar",
    "fit",
    "format_interval",
    "format_number",
    "format_percent",
    "summary",
]
