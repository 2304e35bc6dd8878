"""The page as a file: whole, escaped, bounded, the same for the same store, asking for nothing."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from mfscale.report import ReportError
from mfscale.report.page import Contents, page_of, write_page
from tests.report.conftest import ERROR, HOSTILE, Make


class Page(HTMLParser):
    """A page as a browser's parser reads it: elements, words, and what scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the element and what it is given."""
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or style."""
        self._inside = "" if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        """Keep words and scripts apart."""
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.words.append(f" {data}")

    @property
    def text(self) -> str:
        """All that is written on the page."""
        return " ".join("".join(self.words).split())

    @property
    def payload(self) -> dict[str, Any]:
        """The data that the page's script reads."""
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found


def test_it_holds_overview_laws_claims_curves_and_stages(make: Make) -> None:
    page = Page(page_of(make()))
    assert [a["id"] for tag, a in page.elements if tag == "section"] == [
        "overview",
        "laws",
        "claims",
        "curves",
        "stages",
    ]
    assert "27 of 54 stages were still improving at the cap of steps" in page.text
    assert "1 stage diverged: NaN (1)" in page.text
    assert "error × 0.60 (0.50–0.70), 9 independent checkpoints, 9 pairs" in page.text
    assert "exponent β (95%)" in page.text
    figures = page.payload["figures"]
    assert sorted(figures) == ["curves", "line-0", "line-1", "power-0", "power-1"]


def test_every_run_is_a_point_that_knows_its_row(make: Make) -> None:
    contents = make()
    payload = Page(page_of(contents)).payload
    keys = [column["key"] for column in payload["table"]["columns"]]
    rows = [dict(zip(keys, row, strict=True)) for row in payload["table"]["rows"]]
    assert [row["stage_id"] for row in rows] == contents.frame["stage_id"].tolist()
    seen = []
    for key in ("power-0", "power-1"):
        for trace in payload["figures"][key]["data"]:
            if trace["meta"]["kind"] == "runs":
                for place, labels, error in zip(
                    trace["customdata"], trace["x"], trace["y"], strict=True
                ):
                    assert rows[place]["labels"] == f"cc:a:{labels:g}"
                    assert rows[place][ERROR] == error
                    seen.append(place)
    assert sorted(seen) == list(range(1, 54))  # the diverged stage has no error


def test_lines_are_solid_inside_the_data_and_dashed_beyond(make: Make) -> None:
    for trace in Page(page_of(make())).payload["figures"]["power-0"]["data"]:
        if trace["meta"]["kind"] in {"law", "beyond"}:
            inside = min(trace["x"]) >= 25 and max(trace["x"]) <= 100
            assert trace["line"]["dash"] == ("solid" if inside else "dash")


def test_runs_held_out_are_crosses_that_the_lines_reach(held_out: Contents) -> None:
    page = Page(page_of(held_out))
    seen = []
    for key in ("power-0", "power-1"):
        traces = page.payload["figures"][key]["data"]
        apart = [trace for trace in traces if trace["meta"]["kind"] == "held out"]
        assert {trace["marker"]["symbol"] for trace in apart} == {"x-thin-open"}
        assert {x for trace in apart for x in trace["x"]} == {100}
        seen += [place for trace in apart for place in trace["customdata"]]
        assert not any(100 in t["x"] for t in traces if t["meta"]["kind"] == "runs")
        assert max(max(t["x"]) for t in traces if t["meta"]["kind"] == "beyond") == 100
    rows = page.payload["table"]["rows"]
    assert {rows[place][4] for place in seen} == {"cc:a:100"}
    assert len(seen) == 18
    assert "9 runs held out: their laws were not fitted to them" in page.text
    assert "6 + 3" in page.text


def test_what_comes_from_a_store_is_escaped(make: Make) -> None:
    page = Page(page_of(make(hostile=HOSTILE)))
    assert [a for tag, a in page.elements if tag == "script"] == [
        {"type": "application/json", "id": "payload"},
        {},
        {},
    ]
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    shown = " ".join(HOSTILE.split())
    for place in ("store", "nequip", "NaN", "note", "a note", "a group", "cpu"):
        assert place + shown in page.text
    assert page.payload["table"]["rows"][0][1:4] == [
        "diverged",
        f"NaN{HOSTILE}",
        "none",
    ]


def test_the_same_contents_give_the_same_bytes(make: Make) -> None:
    assert page_of(make()) == page_of(make())


def test_a_thousand_stages_fit_in_a_few_megabytes(make: Make) -> None:
    contents = make(seeds=56)
    assert len(contents.frame) > 1000
    assert len(page_of(contents)) - len(get_plotlyjs()) < 2e6


def test_it_asks_for_nothing_from_elsewhere(make: Make) -> None:
    page = Page(page_of(make()))
    assert not [a for _, a in page.elements if a.get("src")]
    links = [a["href"] for _, a in page.elements if "href" in a]
    assert links
    assert all(re.match(r"#|data:,$", link or "") for link in links)
    [policy] = [a["content"] for tag, a in page.elements if "http-equiv" in a]
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_curves_are_few_and_the_rest_is_counted(make: Make) -> None:
    page = Page(page_of(make(seeds=6)))
    assert len(page.payload["figures"]["curves"]["data"]) == 60
    assert "Of 108 stages 60 are shown, evenly chosen; 48 are left out." in page.text
    assert "Of 54 stages 54 are shown." in Page(page_of(make())).text


def test_a_store_without_curves_says_so(make: Make) -> None:
    page = Page(page_of(make(curve_of=lambda _: None)))
    assert "no learning curves to show: an archive leaves them behind" in page.text
    assert "curves" not in page.payload["figures"]


def test_without_laws_and_claims_there_is_still_a_page(make: Make) -> None:
    page = Page(page_of(make(laws=[], claims=[], notes=["no law"])))
    assert "The stages determine no law" in page.text
    assert "do not speak of the claims" in page.text
    assert "no law" in page.text


def test_trials_are_counted_and_not_listed(make: Make) -> None:
    frame = make().frame
    trials = frame.head(5).assign(purpose="tune", stage_id=[f"trial{i}" for i in range(5)])
    page = Page(page_of(make(frame=pd.concat([frame, trials], ignore_index=True))))
    assert "tuning trials 4 1 0 0" in page.text
    assert len(page.payload["table"]["rows"]) == 54


def test_an_unwritable_place_is_explained(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"cannot write .*; choose another file"):
        write_page(make(), tmp_path / "file" / "report.html")
