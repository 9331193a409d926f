"""python -m attnwidget: the command, where its script is not on the path."""

import sys

from attnwidget.commands import main

sys.exit(main())
