"""What ``cluster.yaml`` starts machines with: spot machines of AWS, and others without any."""

from typing import Any

from botocore.exceptions import ClientError
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException

NO_SPOT = frozenset(
    {
        "InsufficientInstanceCapacity",
        "MaxSpotInstanceCountExceeded",
        "SpotMaxPriceTooLow",
        "UnfulfillableCapacity",
    }
)
"""What EC2 says where it has no spot machine to give, in any zone."""


class SpotFirst(AWSNodeProvider):
    """Starts a machine on demand where it is not to be had as a spot machine.

    Ray's autoscaler asks again for the same kind of machine when EC2 refuses one at once, whatever
    other kinds there are and whatever their priority: its second version counts only machines that
    were granted and did not come as unavailable.
    """

    def create_node(
        self, node_config: dict[str, Any], tags: dict[str, str], count: int
    ) -> dict[str, Any]:
        """Start up to `count` machines, on demand if EC2 has no spot machines."""
        try:
            return dict(super().create_node(node_config, tags, count))
        except (ClientError, NodeLaunchException) as error:
            market = node_config.get("InstanceMarketOptions")
            if market is None or _code(error) not in NO_SPOT:
                raise
        on_demand = {k: v for k, v in node_config.items() if k != "InstanceMarketOptions"}
        return dict(super().create_node(on_demand, tags, count))


def _code(error: Exception) -> str:
    if isinstance(error, NodeLaunchException):
        return str(error.category)
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
