"""``python -m mfscale``."""

from mfscale.cli import main

main()
