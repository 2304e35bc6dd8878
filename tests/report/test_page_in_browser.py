"""The page in a real browser without a network: it draws, filters, and leads from point to row."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mfscale.report.page import Contents, write_page
from tests.report.conftest import ERROR, HOSTILE, PARENT, Make

selenium = pytest.importorskip("selenium", reason="pip install 'mfscale[test]' brings selenium")

from selenium import webdriver  # noqa: E402 - after the check that it is installed
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.select import Select  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None or DRIVER is None,
        reason="no Chromium to open the page in: apt-get install chromium chromium-driver",
    ),
]
DESKTOP, PHONE = (1360, 900, False), (390, 844, True)
POINTS = ".scatterlayer path.point"
PLACE = """
const [key, x, y] = arguments;
const figure = document.querySelector(`[data-figure="${key}"]`);
const { xaxis, yaxis } = figure._fullLayout;
const outer = figure.getBoundingClientRect();
const place = [xaxis._offset + xaxis.d2p(x), yaxis._offset + yaxis.d2p(y)];
const drawn = [...figure.querySelectorAll(".xy .scatterlayer path.point")].some((point) => {
  const box = point.getBoundingClientRect();
  const [x, y] = [box.x + box.width / 2 - outer.x, box.y + box.height / 2 - outer.y];
  return Math.hypot(x - place[0], y - place[1]) < 1;
});
return [...place, outer.width, outer.height, drawn];
"""
"""Where in a figure a run must lie, from its axes alone, and whether a point is drawn there."""


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(make(), path)
    return path


def opened(
    browser: webdriver.Chrome, page: Path, screen: tuple[int, int, bool] = DESKTOP, at: str = ""
) -> None:
    width, height, mobile = screen
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get("about:blank")
    browser.get(page.as_uri() + at)
    WebDriverWait(browser, 60).until(
        lambda driver: driver.execute_script("return document.documentElement.dataset.ready")
    )


def run(browser: webdriver.Chrome, script: str, *arguments: object) -> Any:  # noqa: ANN401 - of a script
    return browser.execute_script(script, *arguments)


def figure(browser: webdriver.Chrome, key: str) -> Any:  # noqa: ANN401 - an element
    return browser.find_element(By.CSS_SELECTOR, f'[data-figure="{key}"]')


def rows_shown(browser: webdriver.Chrome) -> int:
    return len(browser.find_elements(By.CSS_SELECTOR, "#table tbody tr:not([hidden])"))


def points_shown(browser: webdriver.Chrome, key: str) -> int:
    """Runs drawn in the upper axes: what plotly was given, and as many elements as that."""
    given: int = run(
        browser,
        "return document.querySelector(`[data-figure='${arguments[0]}']`).data.filter("
        "t => t.meta.kind === 'runs' && t.visible).reduce((n, t) => n + t.x.length, 0)",
        key,
    )
    return given


def assert_no_errors(browser: webdriver.Chrome) -> None:
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_opens_without_errors_or_requests(
    browser: webdriver.Chrome, page: Path, screen: tuple[int, int, bool]
) -> None:
    opened(browser, page, screen)
    assert len(browser.find_elements(By.CSS_SELECTOR, ".figure .main-svg")) > 4
    assert rows_shown(browser) == 54
    assert run(browser, "return performance.getEntriesByType('resource').length") == 0
    assert run(browser, "return document.documentElement.scrollWidth <= innerWidth")
    titles = run(
        browser, "return [...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title)"
    )
    assert not [title for title in titles if "hare" in title or "loud" in title]
    assert_no_errors(browser)


def test_no_table_of_the_overview_has_to_scroll(browser: webdriver.Chrome, page: Path) -> None:
    for width in (1280, 1920):
        opened(browser, page, (width, 900, False))
        tables = "[...document.querySelectorAll('#overview .cards .wide')]"
        assert run(browser, f"return {tables}.every(t => t.scrollWidth <= t.clientWidth)")


def test_a_run_held_out_says_so(
    browser: webdriver.Chrome, held_out: Contents, tmp_path: Path
) -> None:
    write_page(held_out, tmp_path / "report.html")
    opened(browser, tmp_path / "report.html")
    place = figure(browser, "power-0")
    run(browser, "arguments[0].scrollIntoView({block: 'center'})", place)
    x, y, tip = 100, None, browser.find_element(By.ID, "tip")
    y = run(
        browser,
        "return arguments[0].data.find(t => t.meta.kind === 'held out').y[0]",
        place,
    )
    left, top, width, height, _ = run(browser, PLACE, "power-0", x, y)
    ActionChains(browser).move_to_element_with_offset(
        place, round(left - width / 2), round(top - height / 2)
    ).perform()
    WebDriverWait(browser, 10).until(lambda _: tip.is_displayed())
    assert "the law was not fitted to this run" in tip.text
    assert_no_errors(browser)


def test_filters_act_on_figures_and_table(browser: webdriver.Chrome, page: Path) -> None:
    opened(browser, page)
    mace, nequip = "power-0", "power-1"
    assert (points_shown(browser, mace), points_shown(browser, nequip)) == (27, 26)
    choice = {
        select.get_attribute("data-facet"): Select(select)
        for select in browser.find_elements(By.CSS_SELECTOR, "#filters select")
    }
    choice["0"].select_by_visible_text("mace")
    assert rows_shown(browser) == 27
    assert (points_shown(browser, mace), points_shown(browser, nequip)) == (27, 0)
    choice["2"].select_by_visible_text("DFT")
    assert rows_shown(browser) == points_shown(browser, mace) == 9
    drawn = figure(browser, mace).find_elements(By.CSS_SELECTOR, POINTS)
    assert len(drawn) == 9 + 3 + 9  # runs, means of replicates, residuals
    assert browser.find_element(By.ID, "shown").text == "9 of 54 stages"
    choice["3"].select_by_visible_text("cc")
    assert rows_shown(browser) == 9
    browser.find_element(By.CSS_SELECTOR, "#filters [type=reset]").click()
    WebDriverWait(browser, 10).until(lambda driver: rows_shown(driver) == 54)
    assert points_shown(browser, nequip) == 26
    browser.find_element(By.ID, "search").send_keys("diverged")
    assert rows_shown(browser) == 1
    assert_no_errors(browser)


@pytest.mark.parametrize(
    ("key", "x", "number"),
    [("power-0", "cc_size", 32), ("power-1", "cc_size", 20), ("line-1", PARENT, 9)],  # lie clear
)
def test_a_click_on_a_point_leads_to_its_row(
    browser: webdriver.Chrome, page: Path, make: Make, key: str, x: str, number: int
) -> None:
    stage = make().frame.loc[number]
    opened(browser, page)
    place = figure(browser, key)
    run(browser, "arguments[0].scrollIntoView({block: 'center'})", place)
    left, top, width, height, drawn = run(browser, PLACE, key, float(stage[x]), stage[ERROR])
    assert drawn
    point = ActionChains(browser).move_to_element_with_offset(
        place, round(left - width / 2), round(top - height / 2)
    )
    point.perform()
    tip = browser.find_element(By.ID, "tip")
    WebDriverWait(browser, 10).until(lambda _: tip.is_displayed())
    names, values = ([e.text for e in tip.find_elements(By.TAG_NAME, tag)] for tag in ("dt", "dd"))
    told = dict(zip(names, values, strict=True))
    assert told["stage"] == stage["stage_id"]
    assert told["labels"] == stage["labels"]
    assert float(told["CC test MAE (meV)"]) == pytest.approx(stage[ERROR], rel=1e-3)
    point.click().perform()
    [row] = WebDriverWait(browser, 10).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, "#table tr.chosen")
    )
    assert row.get_attribute("id") == f"stage-{stage['stage_id']}"
    assert run(browser, "return location.hash") == f"#stage-{stage['stage_id']}"
    assert run(
        browser,
        "const [row, table] = [arguments[0], document.getElementById('table-place')]"
        ".map(e => e.getBoundingClientRect());"
        "return row.y > Math.max(table.y, 0) && row.bottom < Math.min(table.bottom, innerHeight)",
        row,
    )
    assert_no_errors(browser)


def test_a_link_to_a_stage_chooses_its_row(browser: webdriver.Chrome, page: Path) -> None:
    opened(browser, page, at="#stage-0005f00d")
    [row] = browser.find_elements(By.CSS_SELECTOR, "#table tr.chosen")
    assert row.get_attribute("id") == "stage-0005f00d"
    assert row.is_displayed()


def test_claims_expand_and_show_their_stages(browser: webdriver.Chrome, page: Path) -> None:
    opened(browser, page)
    claim = browser.find_element(By.ID, "claim-1")
    effect = claim.find_element(By.CSS_SELECTOR, ".effect")
    assert not effect.is_displayed()
    claim.find_element(By.TAG_NAME, "summary").click()
    assert effect.is_displayed()
    assert "error × 0.60 (0.50–0.70)" in effect.text
    claim.find_element(By.CSS_SELECTOR, "[data-evidence]").click()
    assert rows_shown(browser) == 18
    browser.find_element(By.CSS_SELECTOR, "#evidence button").click()
    assert rows_shown(browser) == 54
    assert_no_errors(browser)


def test_the_table_sorts(browser: webdriver.Chrome, page: Path) -> None:
    opened(browser, page)
    [heading] = browser.find_elements(By.CSS_SELECTOR, f'#table button[title="{ERROR}"]')
    heading.click()
    cells = (
        "return [...document.querySelectorAll('#table tbody tr')]"
        ".map(row => row.cells[arguments[0]].textContent)"
    )
    place = run(browser, "return arguments[0].parentNode.cellIndex", heading)
    shown = run(browser, cells, place)
    assert shown[-1] == ""  # the diverged stage has none
    assert pd.Series(shown[:-1], dtype=float).is_monotonic_increasing
    heading.click()
    assert pd.Series(run(browser, cells, place)[:-1], dtype=float).is_monotonic_decreasing


def test_a_law_is_seen_alone(browser: webdriver.Chrome, page: Path) -> None:
    opened(browser, page)
    visible = (
        "return document.querySelector('[data-figure=power-0]').data"
        ".filter(t => t.visible).map(t => [t.meta.kind, t.meta.law])"
    )
    assert {law for _, law in run(browser, visible)} == {0, 1, 2}
    button = browser.find_element(By.CSS_SELECTOR, "[data-laws=power-0] [data-law='1'] button")
    run(browser, "arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    alone = run(browser, visible)
    assert {law for _, law in alone} == {1}
    assert {"band", "new run"} <= {kind for kind, _ in alone}
    button.click()
    assert {law for _, law in run(browser, visible)} == {0, 1, 2}
    assert_no_errors(browser)


def test_nothing_of_a_hostile_store_runs(
    browser: webdriver.Chrome, make: Make, tmp_path: Path
) -> None:
    write_page(make(hostile=HOSTILE), tmp_path / "report.html")
    opened(browser, tmp_path / "report.html")
    claim = browser.find_element(By.ID, "claim-1")
    claim.find_element(By.TAG_NAME, "summary").click()
    place = figure(browser, "power-0")
    run(browser, "arguments[0].scrollIntoView({block: 'center'})", place)
    point = place.find_elements(By.CSS_SELECTOR, POINTS)[0]
    ActionChains(browser).move_to_element(point).click().perform()
    WebDriverWait(browser, 10).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, "#table tr.chosen")
    )
    assert run(browser, "return document.hacked === undefined")
    assert not browser.find_elements(By.TAG_NAME, "img")
    assert f"nequip{HOSTILE}" in run(browser, "return document.body.textContent")
    assert_no_errors(browser)
