"""Optuna's journal of objects: of two that append at once none loses an entry."""

from concurrent.futures import ThreadPoolExecutor

import optuna

from mfscale.orchestration.journal import ObjectJournal, storage
from mfscale.results import Store


def test_entries_of_several_writers_are_read_by_all_in_one_order(bucket: str) -> None:
    place = Store(f"{bucket}/store", create=True).place
    journals = [ObjectJournal(place, "tuning/k.journal") for _ in range(3)]

    def append(writer: int) -> None:
        for i in range(10):
            journals[writer].append_logs([{"writer": writer, "i": i}, {"writer": writer, "i": -i}])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(append, range(3)))
    late = ObjectJournal(place, "tuning/k.journal")
    every = list(late.read_logs(0))
    assert len(every) == 60
    assert all(list(journal.read_logs(0)) == every for journal in journals)
    assert list(late.read_logs(58)) == every[58:]
    for writer in range(3):
        mine = [entry["i"] for entry in every if entry["writer"] == writer]
        assert mine == [n for i in range(10) for n in (i, -i)]


def test_a_study_is_found_again_and_never_made_twice(bucket: str) -> None:
    store = Store(f"{bucket}/store", create=True)

    def trials() -> list[int]:
        study = optuna.create_study(
            study_name="k", storage=storage(store, "k"), load_if_exists=True
        )
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        study.tell(trial, 1.0)
        return [trial.number for trial in study.trials]

    assert trials() == [0]
    assert trials() == [0, 1]
