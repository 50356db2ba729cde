"""python launch.py --config configs/quick.py [--workdir DIR] [--stages A,B] [--config.SECTION.FIELD=VALUE ...]."""

import sys

from depthjax.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
