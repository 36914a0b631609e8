"""`python -m sightline` is the command `sightline`."""

import sys

from sightline.cli import main

sys.exit(main())
