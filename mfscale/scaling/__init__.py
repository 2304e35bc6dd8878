"""Scaling laws: fit them to a table, predict from them, and say how sure that is.

DataFrames in, tables out. Nothing here knows of stores, studies or training, so it is just as
useful on a CSV file from elsewhere. `fit` one of `LAWS`, or a law of your own (`own_law`), to each
group of a table; ask whether groups share it (`compare`), which law foretells larger sizes
(`choose`), and for the line of pairs that are noisy in both x and y (`york`, `york_lines`).

>>> import pandas as pd
>>> table = pd.DataFrame({"labels": [10, 20, 40, 80], "mae": [8.0, 4.1, 2.0, 0.99]})
>>> [law] = fit(table, "power", x="labels", y="mae")
>>> float(law.predict(160)["median"].round(1)[0])
0.5

Fits of ln y give *medians* of y. Every fit prints an honest report, predicts with the interval of
the law and of a new run, and can be saved, with its bootstrap draws, and loaded again:

>>> table = pd.DataFrame({"labels": [10, 20, 40, 80, 160, 320, 640, 1280]})
>>> table["mae"] = [10.1, 5.9, 4.1, 2.9, 2.52, 2.23, 2.14, 2.05]
>>> [law] = fit(table, "saturating power", x="labels", y="mae")
>>> round(law.parameters["E"].estimate, 1)
2.0
>>> law.median([100, 1000], law.draws).shape
(2000, 2)
"""

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.choice import Choice, choose
from mfscale.scaling.comparison import Comparison, compare
from mfscale.scaling.designs import Suggestion, suggest
from mfscale.scaling.errors import FitError
from mfscale.scaling.fitting import fit, summary
from mfscale.scaling.laws import LAWS, Coefficient, Law, label_equivalent, own_law
from mfscale.scaling.noisy_pairs import YorkLine, noisy_x, york, york_lines
from mfscale.scaling.numerals import format_interval, format_number, format_percent
from mfscale.scaling.options import Intervals
from mfscale.scaling.parameters import Parameter
from mfscale.scaling.questions import MIX_LAWS, Inverse, Mix, Worth, fit_mix, invert, mix, worth
from mfscale.scaling.result import Axis, Fit
from mfscale.scaling.rows import Exclusion, Scalar
from mfscale.scaling.saved import load_fits, save_fits
from mfscale.scaling.solution import Search, Solution
from mfscale.scaling.strata import compare_within

__all__ = [
    "LAWS",
    "MIX_LAWS",
    "Axis",
    "Choice",
    "Coefficient",
    "Comparison",
    "Exclusion",
    "Fit",
    "FitError",
    "FitWarning",
    "Intervals",
    "Inverse",
    "Law",
    "Mix",
    "Parameter",
    "Scalar",
    "Search",
    "Solution",
    "Suggestion",
    "Worth",
    "YorkLine",
    "choose",
    "compare",
    "compare_within",
    "fit",
    "fit_mix",
    "format_interval",
    "format_number",
    "format_percent",
    "invert",
    "label_equivalent",
    "load_fits",
    "mix",
    "noisy_x",
    "own_law",
    "save_fits",
    "suggest",
    "summary",
    "worth",
    "york",
    "york_lines",
]
