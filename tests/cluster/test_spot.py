"""A machine that is not to be had on spot is started on demand; EC2 answers from a script."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("boto3", reason="machines of AWS are started with boto3")

from botocore.stub import ANY, Stubber
from ray.autoscaler.node_launch_exception import NodeLaunchException

from mfscale.orchestration.spot import SpotFirst

NODE: dict[str, Any] = {
    "InstanceType": "g6.xlarge",
    "ImageId": "ami-0123456789abcdef0",
    "SubnetIds": ["subnet-1", "subnet-2"],
    "InstanceMarketOptions": {"MarketType": "spot"},
}
TAGS = {"ray-node-type": "worker"}
SENT = {
    "InstanceType": "g6.xlarge",
    "ImageId": NODE["ImageId"],
    "SubnetId": ANY,
    "MinCount": 1,
    "MaxCount": 2,
    "TagSpecifications": ANY,
}
SPOT = {**SENT, "InstanceMarketOptions": {"MarketType": "spot"}}
STARTED = {"Instances": [{"InstanceId": i, "State": {"Name": "pending"}} for i in ("i-1", "i-2")]}


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> SpotFirst:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    settings = {"type": "external", "region": "eu-central-1", "cache_stopped_nodes": False}
    return SpotFirst(settings, "mfscale")


@pytest.fixture
def ec2(provider: SpotFirst) -> Iterator[Stubber]:
    with Stubber(provider.ec2_fail_fast.meta.client) as stub:
        yield stub


def refuse(ec2: Stubber, code: str, asked: dict[str, Any]) -> None:
    for _ in range(5):  # Ray goes through the zones, five times at least
        ec2.add_client_error("run_instances", code, expected_params=asked)


def test_spot_machines_are_taken_where_there_are_any(provider: SpotFirst, ec2: Stubber) -> None:
    ec2.add_response("run_instances", STARTED, SPOT)
    assert provider.create_node(NODE, TAGS, 2).keys() == {"i-1", "i-2"}
    ec2.assert_no_pending_responses()


def test_without_spot_machines_they_are_started_on_demand(
    provider: SpotFirst, ec2: Stubber
) -> None:
    refuse(ec2, "InsufficientInstanceCapacity", SPOT)
    ec2.add_response("run_instances", STARTED, SENT)
    assert provider.create_node(NODE, TAGS, 2).keys() == {"i-1", "i-2"}
    assert "InstanceMarketOptions" in NODE  # the next are asked for on spot again
    ec2.assert_no_pending_responses()


def test_what_is_not_for_want_of_spot_machines_is_said(provider: SpotFirst, ec2: Stubber) -> None:
    refuse(ec2, "UnauthorizedOperation", SPOT)
    with pytest.raises(NodeLaunchException, match="UnauthorizedOperation"):
        provider.create_node(NODE, TAGS, 2)
    ec2.assert_no_pending_responses()
