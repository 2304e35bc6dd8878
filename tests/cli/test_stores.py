"""Stores that cannot be used as asked: one message each, in time, without a secret in it."""

import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from mfscale.results import Store
from tests.buckets import asked, new_bucket, serving
from tests.cli.conftest import Command, assert_one_message

STUDY = """
dataset: chno3
training: {max_steps: 400, validate_every: 100, patience: 100, batch_size: 8}
strategies: {direct: [{heads: {cc: {subset: a, size: 16, validation: 8}}}]}
"""


def assert_no_secret(text: str) -> None:
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in text
    assert os.environ["AWS_ACCESS_KEY_ID"] not in text


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("s3://no-such-bucket/store", ["there is no such bucket", "make it first"]),
        ("s3://", ["is not the URL of a store", "s3://BUCKET/PREFIX"]),
        ("s3://key:secret@bucket/store", ["is not the URL of a store"]),
        ("s3://bucket/store?region=x", ["is not the URL of a store"]),
        ("ftp://bucket/store", ["no place for a store", "s3://BUCKET/PREFIX"]),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_a_store_that_cannot_be(
    mfscale_here: Command, study: Path, store: str, words: list[str]
) -> None:
    for command in (["status"], ["run", study, "--cpus", 1]):
        answer = mfscale_here(*command, "--store", store)
        assert_one_message(answer, *words)
        assert "key:secret" not in answer.err


def test_a_prefix_without_a_store(mfscale_here: Command, bucket: str) -> None:
    assert_one_message(
        mfscale_here("results", "--store", f"{bucket}/none"),
        f"{bucket}/none is not a results store",
        f"mfscale run STUDY --store {bucket}/none",
    )


def test_the_variable_names_a_bucket_too(
    mfscale_here: Command, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(f"{bucket}/store", create=True)
    monkeypatch.setenv("MFSCALE_STORE", f"{bucket}/store")
    answer = mfscale_here("status")
    assert answer.status == 0
    assert f"{bucket}/store: 0 stages" in answer.out


def test_wrong_keys_are_said_without_naming_them(
    mfscale_here: Command, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert bucket
    with serving(tmp_path / "log") as address:
        mine = f"s3://{new_bucket(address)}/store"
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        asked(f"{address}/moto-api/reset-auth", "POST", b"0")  # from now on it asks who one is
        answer = mfscale_here("status", "--store", mine)
    assert_one_message(answer, mine, "the access key is not known there", "AWS_ACCESS_KEY_ID and")
    assert_no_secret(answer.err)


def test_no_keys_at_all(
    mfscale_process: Command, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    began = time.monotonic()
    answer = mfscale_process("status", "--store", f"{bucket}/store")
    assert_one_message(answer, "there are no credentials", "AWS_PROFILE")
    assert time.monotonic() - began < 50


def test_keys_of_a_profile(
    mfscale_process: Command, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Store(f"{bucket}/store", create=True)
    (tmp_path / "credentials").write_text(
        "[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = hidden%key\n"
    )
    (tmp_path / "config").write_text(
        "[profile other]\nregion = eu-west-1\n[profile sso]\nsso_session = x\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "other")
    answer = mfscale_process("status", "--store", f"{bucket}/store")
    assert answer.status == 0, answer
    for name, words in (("sso", "holds no keys of its own"), ("none", "there is no profile")):
        monkeypatch.setenv("AWS_PROFILE", name)
        assert_one_message(mfscale_process("status", "--store", f"{bucket}/store"), words, name)


def test_google_without_credentials(
    mfscale_process: Command, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert bucket
    monkeypatch.setenv("HOME", str(tmp_path))
    answer = mfscale_process("status", "--store", "gs://bucket/store")
    assert_one_message(answer, "gs://bucket/store cannot be used as a store", "GOOGLE_APPLICATION")


@pytest.mark.slow
def test_a_server_that_goes_down_fails_the_stage_and_not_the_run(
    mfscale_here: Command, bucket: str, study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import threading

    assert bucket
    with ExitStack() as server:
        address = server.enter_context(serving(tmp_path / "log"))
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        url = f"s3://{new_bucket(address)}/store"
        store = Store(url, create=True)

        def stop_once_it_trains() -> None:
            while not store.place.tree("logs"):
                time.sleep(0.2)
            server.close()

        stopping = threading.Thread(target=stop_once_it_trains)
        stopping.start()
        answer = mfscale_here("run", study, "--cpus", 1, "--store", url)
        stopping.join()
    assert answer.status == 1, answer
    assert "0 stages finished" in answer.out
    assert "failed: " in answer.out
    assert "no answer" in answer.out
    assert "Traceback" not in answer.err
    assert_no_secret(answer.out + answer.err)
