"""The documentation as a site: the Markdown of `docs/`, and of the few pages beside it, by Sphinx, MyST and Furo.

| Module | Does |
|---|---|
| `pages` | which pages there are, in which order: what the index, `docs/README.md`, lists |
| `conf` | Sphinx' configuration; what GitHub shows differently from a site |
| `check` | reads what was built: links, anchors, and that nothing is fetched from another host |

`make docs` runs it. The pages stay as GitHub reads them: no file knows of Sphinx.
"""
