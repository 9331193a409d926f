"""Timeline: attention over the steps of a training, or over any ordered list of captures."""

from attnwidget.widget.timeline.timeline import Timeline

__all__ = ["Timeline"]
