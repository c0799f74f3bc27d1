"""`wpool check`: finds in the source of workers what overloads, hangs or stalls them.

The source is read, never run. `module` knows what a name stands for in a file, `rules` has one function for each rule,
`findings` what a rule says, `files` which files are read and what is ignored in them.

A rule reports what it can see in one file and stays silent where it cannot tell: one false alarm costs more than one
find, since after a few of them nobody reads on.
"""
