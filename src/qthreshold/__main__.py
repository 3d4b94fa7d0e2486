"""``python -m qthreshold``."""

from qthreshold.cli import main

if __name__ == "__main__":
    main()
