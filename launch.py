"""python launch.py --config configs/quick.py [--workdir DIR] [--stages A,B] [--config.SECTION.FIELD=VALUE ...]."""

from depthjax.__main__ import main
from depthjax.signals import end

if __name__ == "__main__":
    end(main())
