"""Compact a store, and print its rows: ``python -m mfscale.results.compactor ADDRESS``."""

import sys

from mfscale.results.errors import StoreError
from mfscale.results.store import Store

if __name__ == "__main__":
    try:
        sys.stdout.write(f"{Store(sys.argv[1]).compact()}\n")
    except StoreError as error:
        sys.exit(str(error))
