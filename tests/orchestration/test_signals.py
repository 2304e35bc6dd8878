"""Real signals to real drivers and workers: what each ends, what it leaves, how it goes on."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from os import kill, killpg
from pathlib import Path

import pytest

from mfscale.results import Store
from mfscale.training import PROGRESS, read_header

pytestmark = pytest.mark.slow

Start = Callable[[str, Path], "subprocess.Popen[str]"]
LONG = """
name: long
dataset: chno3
training: {max_steps: 1000000, validate_every: 100000, batch_size: 8}
strategies:
  direct:
    - heads: {cc: {subset: a, size: 16, validation: 8}}
"""
"""A stage that never comes to a validation, so that only a signal makes it save anything."""


def wait_for_training(driver: "subprocess.Popen[str]", store: Path, attempt: int) -> int:
    """The process that trains the one stage, once it has taken some steps."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert driver.poll() is None, driver.communicate()
        for log in store.glob(f"logs/*-{attempt}.log"):
            said = log.read_text()
            if "trains from step" in said and (found := re.search(r"in process (\d+)", said)):
                time.sleep(1)
                return int(found[1])
        time.sleep(0.05)
    pytest.fail("no stage came to train")


def step_of(store: Path) -> int:
    (path,) = store.glob(f"checkpoints/*/{PROGRESS}")
    return int(read_header(path, "progress").content["step"])


def end(driver: "subprocess.Popen[str]") -> tuple[int, str, float]:
    began = time.monotonic()
    output, _ = driver.communicate(timeout=60)
    return driver.returncode, output, time.monotonic() - began


def test_a_signal_to_the_driver_saves_progress_and_the_same_command_goes_on(
    tmp_path: Path, start_run: Start
) -> None:
    path = tmp_path / "store"
    steps = [0]
    both = [(signal.SIGTERM, "SIGTERM", 143), (signal.SIGINT, "Ctrl-C", 130)]
    for attempt, (number, name, status) in enumerate(both):
        driver = start_run(LONG, path)
        wait_for_training(driver, path, attempt)
        driver.send_signal(number)
        returned, output, _ = end(driver)
        assert returned == status, output
        assert f"{name}: running stages save their progress and stop" in output
        assert "interrupted with 1 stages left (the same command goes on)" in output
        assert "Traceback" not in output
        assert "ERROR" not in output
        steps.append(step_of(path))
    assert 0 < steps[1] < steps[2]
    (log,) = path.glob("logs/*-1.log")
    assert f"trains from step {steps[1]}\n" in log.read_text()
    assert Store(path).statuses() == {}
    assert not list(path.glob(".stop-*"))


def test_a_signal_stops_a_run_whose_output_nobody_reads_any_more(
    tmp_path: Path, start_run: Start
) -> None:
    path = tmp_path / "store"
    driver = start_run(LONG, path)
    wait_for_training(driver, path, 0)
    for stream in filter(None, (driver.stdout, driver.stderr)):
        stream.close()
    driver.send_signal(signal.SIGTERM)
    driver.wait(timeout=60)
    assert step_of(path) > 0
    assert Store(path).statuses() == {}
    assert not list(path.glob(".stop-*"))


def test_a_signal_to_all_processes_of_the_run_saves_progress_too(tmp_path: Path) -> None:
    """As some cluster managers send it: Ray's own processes end before the driver."""
    path, study = tmp_path / "store", tmp_path / "study.yaml"
    study.write_text(LONG)
    command = [sys.executable, "-m", "mfscale", "run", str(study), "--store", str(path)]
    command += ["--compile", "never"]
    with subprocess.Popen(
        [*command, "--cpus", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as driver:
        wait_for_training(driver, path, 0)
        killpg(driver.pid, signal.SIGTERM)
        returned, output, took_s = end(driver)
    assert returned == 143, output
    assert took_s < 30
    assert step_of(path) > 0


def test_a_second_ctrl_c_leaves_at_once(tmp_path: Path, start_run: Start) -> None:
    path = tmp_path / "store"
    driver = start_run(LONG, path)
    worker = wait_for_training(driver, path, 0)
    kill(worker, signal.SIGSTOP)  # a stage that cannot save its progress
    driver.send_signal(signal.SIGINT)
    time.sleep(2)
    assert driver.poll() is None
    driver.send_signal(signal.SIGINT)
    returned, output, took_s = end(driver)
    assert returned == 130, output
    assert took_s < 12  # Ray ends its processes; stages would have had 15 s
    assert "interrupted with 1 stages left" in output
    assert "Traceback" not in output
    again = start_run(LONG, path)
    wait_for_training(again, path, 1)
    again.send_signal(signal.SIGTERM)
    assert end(again)[0] == 143
    assert step_of(path) > 0


def test_a_stage_whose_worker_gets_sigterm_goes_on_in_another_from_where_it_was(
    tmp_path: Path, start_run: Start
) -> None:
    """More often than a worker may die: a stage that gets further is not to blame."""
    path = tmp_path / "store"
    driver = start_run(LONG, path)
    steps = [0]
    for attempt in range(3):
        kill(wait_for_training(driver, path, attempt), signal.SIGTERM)
        log = next(path.glob(f"logs/*-{attempt}.log"))
        deadline = time.monotonic() + 30
        while "stopped at step" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        steps.append(step_of(path))
    assert steps == sorted(set(steps))
    wait_for_training(driver, path, 3)
    driver.send_signal(signal.SIGTERM)
    returned, output, _ = end(driver)
    assert returned == 143, output
    starts = [
        int(found[1])
        for attempt in range(1, 4)
        for log in path.glob(f"logs/*-{attempt}.log")
        if (found := re.search(r"trains from step (\d+)", log.read_text()))
    ]
    assert starts == steps[1:]
    assert Store(path).statuses() == {}
