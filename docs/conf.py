"""How the documentation is built; `make docs` calls Sphinx on this folder."""  # noqa: INP001

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from extensions.public import public_names  # noqa: E402
from numpydoc.xref import DEFAULT_LINKS  # noqa: E402

import attnwidget as aw  # noqa: E402

project = "attnwidget"
author = "The attnwidget developers"
copyright = "the attnwidget developers, MIT licence"  # noqa: A001 - Sphinx's name for it
version = release = aw.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "extensions.columns",
    "extensions.formulas",
    "extensions.lessons",
    "extensions.live",
    "extensions.members",
    "extensions.names",
    "extensions.not_run",
    "extensions.whole",
]
exclude_patterns = ["extensions", "templates", "static"]
templates_path = ["templates"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_disable_syntax = ["html_block", "html_inline"]  # words about markup are words
default_role = "py:obj"
add_module_names = False
toc_object_entries = False

autodoc_typehints = "none"  # numpydoc's sections say it, with shapes and units
autosummary_generate = True
numpydoc_show_class_members = False  # the class template lists what is ours
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
DEFAULT_LINKS.clear()  # what Python and numpy document is theirs, and needs a network
numpydoc_xref_aliases = {full.rpartition(".")[2]: full for full in public_names()}
numpydoc_validation_checks = {"GL08", "PR02"}

# Strict of our own names: what torch or transformers document is theirs, and needs a network to be looked up.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!attnwidget\b|aw\.).*")]

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"attnwidget {release}"
html_static_path = ["static"]
html_css_files = ["docs.css"]
html_js_files = ["live.js"]
html_logo = html_favicon = "static/logo.svg"
html_copy_source = False
html_show_sphinx = False
html_show_search_summary = False  # it would fetch the pages, and a page from disk may fetch nothing
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#3a5fcd", "color-brand-content": "#3a5fcd"},
    "dark_css_variables": {"color-brand-primary": "#8fa8f5", "color-brand-content": "#8fa8f5"},
}
