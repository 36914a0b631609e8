"""Runs `sightline-admin` as `python -m gateway.admin`."""

import sys

from gateway.admin.command import main

sys.exit(main())
