"""Configuration of the Sphinx documentation, which builds without internet access."""

import os
import re
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import imbalnet

project = "imbalnet"
author = "The imbalnet developers"
copyright = author
version = release = imbalnet.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "matplotlib.sphinxext.plot_directive",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    "markdown_changelog",
    "mathml",
    "parameter_links",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery/**/*.md5"]
default_role = "literal"
smartquotes = False  # {"auto"} in a type is code

# Names of imbalnet must be known. Those of other packages need their inventories, which
# are not here.
nitpicky = True
OTHERS = r"(imblearn|matplotlib|numpy|onnx|pandas|scipy|sklearn|skorch|torch)\b.*"
nitpick_ignore_regex = [(r"py:\w+", OTHERS)]

# -- API pages ------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings contain the types
autodoc_class_signature = "mixed"
autodoc_default_options = {"member-order": "bysource"}
numpydoc_show_class_members = False  # autodoc lists the methods with their docstrings
toc_object_entries_show_parents = "hide"

# -- Pictures and examples ------------------------------------------------------------

plot_formats = [("png", 160)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = False
plot_rcparams = {"savefig.bbox": "tight"}
plot_apply_rcparams = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|[/\\])(?!plot_)[^/\\]*\.py$",
    "subsection_order": [
        "../examples/first_steps",
        "../examples/levers",
        "../examples/decisions",
        "../examples/tools",
    ],
    "within_subsection_order": "FileNameSortKey",
    "nested_sections": False,
    "backreferences_dir": "api/generated/backreferences",
    "doc_module": ("imbalnet",),
    "image_srcset": ["2x"],
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,
    "copyfile_regex": r"",
}

# Copying an example leaves out prompts and output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

# -- Pages ----------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "imbalnet"
html_static_path = ["_static"]
html_css_files = ["imbalnet.css"]
html_show_sourcelink = False
html_copy_source = False
html_domain_indices = False  # the API reference lists the modules
html_theme_options = {
    "logo": {"text": "imbalnet"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    # without it, the table of nine columns has the room that it needs
    "secondary_sidebar_items": {"**": ["page-toc"], "guide/comparison": []},
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "changelog": []}


def quote_fitted_names(app, what, name, obj, options, lines):
    """Quote names like ``n_features_in_`` in type lines; reST reads them as links."""
    for i, line in enumerate(lines):
        if re.match(r"\w+ : ", line):
            lines[i] = re.sub(r"(?<![\w`])([a-z]\w*_)(?=[,)])", r"``\1``", line)


def skip_documented(app, what, name, obj, skip, options):
    """Leave out fitted attributes, which the class docstring has, and routing."""
    is_attribute = name.endswith("_") and not callable(obj)
    return skip or is_attribute or bool(re.fullmatch(r"set_\w+_request", name))


def list_without_pages(app, relative_path, parent, content):
    """Let docs/api/index.rst list what it includes; pages belong to the subjects."""
    listed = content[0].replace("   :toctree: generated/\n", "")
    content[0] = listed.replace(".. module::", ".. currentmodule::")


def setup(app):
    """Quote names before numpydoc converts the docstrings to reST."""
    app.connect("autodoc-process-docstring", quote_fitted_names, priority=100)
    app.connect("autodoc-skip-member", skip_documented)
    app.connect("include-read", list_without_pages)
