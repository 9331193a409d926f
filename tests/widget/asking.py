"""Questions put to an Explorer as the browser puts them."""

from __future__ import annotations

from attnwidget.widget.answers import answer


def ask(view, **message):
    view._handle_custom_msg(message, [])
    return view.sent[-1]


def answered(view, **request):
    return answer(view._shown, request)
