"""A store in object storage, on a local S3 server: what a store in a folder does, it does."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mfscale.results import (
    CURVE_SCHEMA,
    FORMAT,
    Store,
    StoreError,
    open_place,
    write_archive,
)
from mfscale.results.parquet import encode
from tests.buckets import new_bucket

Row = dict[str, object]


@pytest.fixture
def remote(bucket: str) -> Store:
    return Store(f"{bucket}/some/prefix", create=True)


def test_rows_are_read_as_they_were_published(
    remote: Store, pretrained: Row, finetuned: Row
) -> None:
    remote.publish(pretrained)
    remote.publish(finetuned)
    before = remote.table()
    assert remote.compact() == 2
    assert remote.table().equals(before)
    assert Store(str(remote)).table().equals(before)
    assert remote.statuses() == {"aa11": "finished", "bb22": "finished"}
    assert remote.sql("select count(*) as n from results").to_pylist() == [{"n": 2}]
    row = remote.row("bb22")
    assert row is not None
    assert row["parent_id"] == "aa11"
    assert remote.place.names("inbox", "") == []


def test_of_two_rows_of_an_attempt_the_first_stays(
    remote: Store, brief_row: Callable[..., Row]
) -> None:
    remote.publish(brief_row(reason="first"))
    remote.publish(brief_row(reason="second"))
    (row,) = remote.table().to_pylist()
    assert row["reason"] == "first"
    assert remote.next_attempt("aa11") == 1


def test_a_damaged_row_is_set_aside_and_said(remote: Store, brief_row: Callable[..., Row]) -> None:
    remote.publish(brief_row("good"))
    remote.place.put("inbox/bad-0.parquet", b"PAR1 junk")
    with pytest.raises(StoreError, match=rf"{remote}/inbox/bad-0.parquet is damaged .*set-aside"):
        remote.table()
    assert remote.statuses() == {"good": "finished"}
    assert list(remote.place.tree("set-aside")) == ["set-aside/inbox/bad-0.parquet"]


def test_curves_are_replaced(remote: Store) -> None:
    for step in (1, 2):
        remote.publish_curve("aa11", pa.table({"step": [step]}))
    assert remote.curve("aa11")["step"].to_pylist() == [2]
    with pytest.raises(StoreError, match="no curves of stage bb22"):
        remote.curve("bb22")
    assert remote.curve("aa11").schema.equals(CURVE_SCHEMA)


def test_a_thousand_rows_are_read_at_once(remote: Store, brief_row: Callable[..., Row]) -> None:
    from mfscale.results.rows import row_table

    def put(i: int) -> None:
        name = f"inbox/s{i}-0.parquet"
        remote.place.put(name, encode(row_table(brief_row(f"s{i}", steps=i))))

    list(remote.place.each(lambda name: put(int(name)), map(str, range(1001))))
    assert remote.table()["steps"].to_pylist().count(7) == 1
    assert len(remote.statuses()) == 1001
    assert remote.compact() == 1001
    assert len(remote.statuses()) == 1001


MOVES = st.lists(
    st.one_of(
        st.tuples(
            st.just("publish"),
            st.sampled_from(["a", "b", "c"]),
            st.integers(0, 3),
            st.sampled_from(["finished", "diverged", "failed", "skipped"]),
        ),
        st.tuples(st.sampled_from(["compact", "read", "reopen"])),
    ),
    max_size=12,
)


@given(moves=MOVES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_folder_and_bucket_tell_the_same(
    moves: list[tuple[object, ...]],
    s3: str,
    bucket: str,  # noqa: ARG001 - its settings
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever is published, compacted and read, in whatever order."""
    here = Store(tmp_path_factory.mktemp("both") / "store", create=True)
    there = Store(f"s3://{new_bucket(s3)}/store", create=True)
    for number, move in enumerate(moves):
        for store in (here, there):
            if move[0] == "publish":
                _, stage, attempt, status = move
                said = {"stage_id": stage, "attempt": attempt, "status": status, "steps": number}
                store.publish({**said, "purpose": "science"})
            elif move[0] == "compact":
                store.compact()
        if move[0] == "reopen":
            here, there = Store(str(here)), Store(str(there))
        if move[0] == "read":
            assert here.table().equals(there.table())
    assert here.table().equals(there.table())
    assert [here.next_attempt(s) for s in "abc"] == [there.next_attempt(s) for s in "abc"]


PUBLISH_AND_COMPACT = """
import sys
from mfscale.results import Store
store, worker = Store(sys.argv[1]), int(sys.argv[2])
for i in range(12):
    store.publish({"stage_id": f"own-{worker}-{i}", "attempt": 0, "status": "finished",
                   "purpose": "science", "steps": i})
    if i % 3 == worker:
        store.compact()
"""


def test_two_processes_that_publish_and_compact_lose_nothing(remote: Store) -> None:
    command = [sys.executable, "-c", PUBLISH_AND_COMPACT, str(remote)]
    processes = [subprocess.Popen([*command, str(worker)]) for worker in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    expected = {f"own-{worker}-{i}" for worker in range(2) for i in range(12)}
    assert remote.statuses().keys() == expected
    assert remote.compact() == len(expected)


def test_what_was_compacted_meanwhile_is_read_again(
    remote: Store, brief_row: Callable[..., Row]
) -> None:
    """Of two compactions at once, as when a lease ran out, the later does not undo the other."""
    remote.publish(brief_row("a"))
    version = remote.place.version("results.parquet")
    remote.compact()
    stale = encode(remote.table().slice(0, 0))
    assert not remote.place.put_over("results.parquet", stale, version)
    assert remote.statuses() == {"a": "finished"}
    version = remote.place.version("results.parquet")
    remote.publish(brief_row("b"))
    remote.compact()
    assert not remote.place.put_over("results.parquet", stale, version)
    assert remote.statuses().keys() == {"a", "b"}


def test_an_archive_of_and_in_a_bucket(
    remote: Store, bucket: str, pretrained: Row, tmp_path: Path
) -> None:
    remote.publish(pretrained)
    write_archive(remote, tmp_path / "archive")
    write_archive(remote, f"{bucket}/archive")
    near, far = Store(tmp_path / "archive"), Store(f"{bucket}/archive")
    assert near.is_archive
    assert far.is_archive
    assert near.table().equals(far.table())
    with pytest.raises(StoreError, match="only to be read"):
        far.publish(pretrained)
    with pytest.raises(StoreError, match="name a new or empty prefix"):
        write_archive(remote, f"{bucket}/archive")


def test_a_prefix_with_other_objects_is_left_alone(bucket: str, remote: Store) -> None:
    remote.place.put("elsewhere.txt", b"mine")
    with pytest.raises(StoreError, match="not a results store; one is made by"):
        Store(f"{bucket}/nowhere")
    with pytest.raises(StoreError, match="holds other objects"):
        Store(bucket, create=True)


def test_a_store_beside_another_of_like_name_is_its_own(
    bucket: str, brief_row: Callable[..., Row]
) -> None:
    stores = [Store(f"{bucket}/{name}", create=True) for name in ("store", "store-2", "store/in")]
    for n, store in enumerate(stores):
        store.publish(brief_row(f"s{n}"))
    assert [list(store.statuses()) for store in stores] == [["s0"], ["s1"], ["s2"]]


def test_objects_hold_no_credentials(remote: Store, brief_row: Callable[..., Row]) -> None:
    with remote.in_use(), remote.place.turn("aa11", lambda: True):
        remote.publish(brief_row())
        remote.compact()
        for name in remote.place.tree(""):
            content = remote.place.get(name).to_pybytes()
            assert os.environ["AWS_SECRET_ACCESS_KEY"].encode() not in content
            assert os.environ["AWS_ACCESS_KEY_ID"].encode() not in content
        assert any(name.startswith("leases/") for name in remote.place.tree(""))
    assert not remote.place.tree("leases")


def test_threads_may_share_a_store(remote: Store, brief_row: Callable[..., Row]) -> None:
    threads = [
        threading.Thread(target=lambda i=i: remote.publish(brief_row(f"s{i}"))) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(remote.statuses()) == 8


def test_a_marker_says_what_it_is(remote: Store) -> None:
    assert json.loads(remote.place.get("store.json").to_pybytes()) == {"format": FORMAT}


def test_an_endpoint_that_is_down_is_said_in_time(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"no answer.*AWS_ENDPOINT_URL"):
        Store(f"{bucket}/down", create=True)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("header", ["If-None-Match", "If-Match"])
def test_storage_that_ignores_a_condition_is_refused(
    header: str, bucket: str, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The S3 server behind one that forgets a header: a store would lose rows there."""
    with forgetting(header, s3) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(StoreError, match=rf"ignores .*\({header}\)"):
            Store(f"{bucket}/forgetful", create=True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    assert open_place(bucket).tree("forgetful") == {}, "something was left behind"


@contextmanager
def forgetting(header: str, target: str) -> Iterator[str]:
    """The address of a server that hands all on to another, but for one header."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {k: v for k, v in self.headers.items() if k.lower() != header.lower()}
            connection = HTTPConnection(target.removeprefix("http://"))
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
