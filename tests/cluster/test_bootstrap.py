"""What ``ray up cluster.yaml`` makes on AWS before it logs in: on moto's EC2, by Ray's own code."""

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

boto3 = pytest.importorskip("boto3", reason="machines of AWS are started with boto3")

FILE = Path(__file__).parents[2] / "cluster.yaml"
SERVER = os.environ.get("MOTO_SERVER") or shutil.which("moto_server")
PORT = 5099


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS on this machine, without anything in it that costs."""
    if SERVER is None:
        pytest.skip("no moto_server here: python -m venv moto; moto/bin/pip install moto[server]")
    from ray.autoscaler._private.aws.utils import client_cache, resource_cache

    for kept in (client_cache, resource_cache):  # what another test has connected to AWS itself
        kept.cache_clear()
    endpoint = f"http://127.0.0.1:{PORT}"
    (tmp_path / ".ssh").mkdir()
    settings = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "HOME": str(tmp_path)}
    settings |= {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "eu-central-1"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([SERVER, "-p", str(PORT)], stdout=log, stderr=log)
        try:
            for _ in range(300):
                with suppress(urllib.error.URLError):
                    urllib.request.urlopen(endpoint)
                    break
                time.sleep(0.2)
            yield
        finally:
            server.terminate()
            server.wait()
            for kept in (client_cache, resource_cache):
                kept.cache_clear()


@pytest.mark.slow
@pytest.mark.usefixtures("aws")
def test_machines_are_as_the_file_says_and_no_port_is_opened() -> None:
    from ray.autoscaler._private.commands import _bootstrap_config
    from ray.autoscaler._private.providers import _get_node_provider
    from ray.autoscaler._private.util import prepare_config

    ec2, iam = boto3.client("ec2"), boto3.client("iam")
    group = ec2.create_security_group(GroupName="mfscale", Description="ours")["GroupId"]
    iam.create_instance_profile(InstanceProfileName="mfscale-cluster")
    written = yaml.safe_load(FILE.read_text(encoding="utf-8").replace("sg-EDIT", group))
    config = _bootstrap_config(prepare_config(written), no_config_cache=True)
    provider = _get_node_provider(config["provider"], config["cluster_name"], use_cache=False)
    started = {}
    for name, kind in config["available_node_types"].items():
        (instance,) = provider.create_node(kind["node_config"], {"ray-node-type": "worker"}, 1)
        started[instance] = name

    found = {
        started[instance["InstanceId"]]: instance
        for reservation in ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    }
    assert found["gpu"]["InstanceLifecycle"] == "spot"
    assert "InstanceLifecycle" not in found["head"]
    for instance in found.values():
        assert [member["GroupId"] for member in instance["SecurityGroups"]] == [group]
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
    (ours,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert ours["IpPermissions"] == []  # Ray has added no rule of its own
    groups = ec2.describe_security_groups()["SecurityGroups"]
    assert not [other for other in groups if other["GroupName"].startswith("ray-autoscaler")]
