"""python -m attnwidget: the command, where its script is not on the path."""

import sys

from attnwidget.commands import main

if __name__ == "__main__":  # processes of a survey import this file again
    sys.exit(main())
