"""What hosts are made with, for tests that need some."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

REHEARSAL = Path(__file__).parents[2] / "deploy" / "rehearsal"


@pytest.fixture(scope="session")
def hosts() -> ModuleType:
    """The module of `deploy/rehearsal`, where this machine and user can make hosts."""
    spec = importlib.util.spec_from_file_location("hosts", REHEARSAL / "hosts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hosts"] = module
    spec.loader.exec_module(module)
    if (reason := module.lacking()) is not None:
        pytest.skip(reason)
    return module
