"""Say what is wrong with a cluster file, without a network: what `ray up` would find out on AWS.

    python deploy/check.py cluster.yaml

Ray's own validator looks neither below ``provider:`` nor into ``node_config:`` and knows no kinds
of machines; here a key is known or it is an error. Exit status: 0, or 2 with a line for each fault.
"""

import argparse
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

MACHINES = {
    "m7i.large": (2, 0),
    "m7i.xlarge": (4, 0),
    "g4dn.xlarge": (4, 1),
    "g5.xlarge": (4, 1),
    "g5.12xlarge": (48, 4),
    "g6.xlarge": (4, 1),
    "g6.2xlarge": (8, 1),
    "g6.12xlarge": (48, 4),
    "g6e.xlarge": (4, 1),
    "g6e.2xlarge": (8, 1),
    "p4d.24xlarge": (96, 8),
    "p5.4xlarge": (16, 1),
    "p5.48xlarge": (192, 8),
}
"""Processor cores (as EC2 counts them) and GPUs of machines that suit; add yours."""
PROVIDER = {"type", "module", "region", "availability_zone", "cache_stopped_nodes"} | {
    "use_internal_ips"
}
"""Keys of `provider` that may be there; `security_group` is not: Ray adds SSH from everywhere."""
OWN = {"SubnetIds"}
"""Keys of `node_config` that are Ray's own and not EC2's."""
SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}|aws_secret_access_key|RAY_AUTH_TOKEN=|\b[0-9a-f]{64}\b", re.IGNORECASE
)
LEFT = re.compile(r"\bEDIT\b|sg-EDIT|YOUR_")


def faults(path: Path) -> list[str]:
    """Everything that is wrong with a cluster file, in its order."""
    text = path.read_text(encoding="utf-8")
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return [f"no YAML: {error}"]
    found = [*_by_ray(config)]
    if not found:
        found += [f"provider: {fault}" for fault in _provider(config["provider"])]
        for name, kind in config["available_node_types"].items():
            found += [f"{name}: {fault}" for fault in _machine(config, name, kind)]
        found += _closed(config)
        found += _carried(config, path.parent)
    if SECRET.search(text):
        found.append("a secret stands in the file: it belongs into ~/.ray/auth_token or a profile")
    values = json.dumps(config)
    found += [
        f"{left} is to be replaced: see the line's EDIT"
        for left in dict.fromkeys(LEFT.findall(values))
    ]
    return found


def _by_ray(config: dict[str, Any]) -> Iterator[str]:
    """What Ray's own validator finds."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    try:
        validate_config(prepare_config(config))
    except Exception as error:  # noqa: BLE001 - of many kinds
        yield str(error).strip().splitlines()[0]


def _provider(provider: dict[str, Any]) -> Iterator[str]:
    for key in provider.keys() - PROVIDER:
        yield f"{key} is not known; there are {', '.join(sorted(PROVIDER))}"
    if provider.get("type") not in {"aws", "external"} or "region" not in provider:
        yield "type (aws or external) and region are needed"
    elif not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", str(provider["region"])):
        yield f"{provider['region']} is no region of AWS"
    if provider.get("type") == "external":
        from ray.autoscaler._private.providers import _NODE_PROVIDERS

        try:
            _NODE_PROVIDERS["external"](provider)
        except (ImportError, AttributeError, KeyError, ValueError) as error:
            yield f"module cannot be imported ({error}): is mfscale installed here, and boto3?"


def _machine(config: dict[str, Any], name: str, kind: dict[str, Any]) -> Iterator[str]:
    node = kind["node_config"]
    head = name == config["head_node_type"]
    yield from _unknown(node)
    cores, gpus = MACHINES.get(node.get("InstanceType"), (None, None))
    resources = kind.get("resources", {})
    if cores is None:
        yield f"{node.get('InstanceType')} is not in the list of deploy/check.py: add it there"
    elif not head and resources != {"CPU": cores, **({"GPU": gpus} if gpus else {})}:
        yield f"a {node['InstanceType']} has {cores} cores and {gpus} GPUs, not {resources}"
    if any(not isinstance(value, int) for value in resources.values()):
        yield f"resources are whole numbers, not {resources}"
    if head and "InstanceMarketOptions" in node:
        yield "the head would be lost with its spot machine, and the run with it"
    if not head and kind.get("min_workers", 0) != 0:
        yield "min_workers is not 0: it would cost while nothing runs"
    if not node.get("SecurityGroupIds"):
        yield "without SecurityGroupIds Ray opens port 22 to everybody"
    if node.get("MetadataOptions", {}).get("HttpTokens") != "required":
        yield "MetadataOptions.HttpTokens is not `required`"
    if "IamInstanceProfile" not in node:
        yield "without IamInstanceProfile there is no store on S3"


def _unknown(node: dict[str, Any]) -> Iterator[str]:
    """Keys and kinds of values that EC2 does not know."""
    import botocore.session
    from botocore.validate import ParamValidator

    service = botocore.session.get_session().get_service_model("ec2")
    shape = service.operation_model("RunInstances").input_shape
    asked = {key: value for key, value in node.items() if key not in OWN}
    report = ParamValidator().validate({**asked, "MinCount": 1, "MaxCount": 1}, shape)
    if report.has_errors():
        yield report.generate_report().replace("\n", "; ")


def _closed(config: dict[str, Any]) -> Iterator[str]:
    """The token is on, and the dashboard is the head's own."""
    head = " ".join(config["head_start_ray_commands"])
    hidden = "--dashboard-host=127.0.0.1" in head or "--include-dashboard=false" in head
    if not hidden or "0.0.0.0" in head:  # noqa: S104 - which is what is refused
        yield "head_start_ray_commands: the dashboard is not on 127.0.0.1"
    if not any("RAY_AUTH_MODE=token" in command for command in config["setup_commands"]):
        yield "setup_commands: RAY_AUTH_MODE=token is not set"
    if "~/.ray/auth_token" not in config["file_mounts"]:
        yield "file_mounts: the token, ~/.ray/auth_token, is not carried to the machines"


def _carried(config: dict[str, Any], folder: Path) -> Iterator[str]:
    """What the machines get from here is here."""
    for local in config["file_mounts"].values():
        path = folder / Path(local).expanduser()
        if not path.exists():
            remedy = {"dist": "make wheel", "~/.ray/auth_token": "ray get-auth-token --generate"}
            yield f"file_mounts: no {local} here; {remedy.get(local, 'make it')}"
    wheels = [*(folder / "dist").glob("*.whl")]
    if "dist" in config["file_mounts"].values() and len(wheels) > 1:
        yield f"dist has {len(wheels)} wheels: make wheel"


def main() -> int:
    """Print the faults of a file."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=Path("cluster.yaml"))
    path = parser.parse_args().file
    logging.disable(logging.WARNING)
    try:
        found = faults(path)
    except ImportError as error:
        found = [f"{error}: pip install --no-deps boto3 botocore s3transfer jmespath"]
    except (OSError, KeyError, TypeError, AttributeError) as error:
        found = [f"no cluster file: {type(error).__name__}: {error}"]
    for fault in found:
        print(f"{path}: {fault}", file=sys.stderr)
    if not found:
        print(f"{path}: nothing is wrong with it, as far as can be told from here")
    return 2 if found else 0


if __name__ == "__main__":
    sys.exit(main())
