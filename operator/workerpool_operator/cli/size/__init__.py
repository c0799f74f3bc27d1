"""`wpool size`: how many workers a load needs, step by step.

`workerpool_operator.cli.sizing` has the formulas and their sources, `steps` puts them into the order in which a person
would work them out, `command` is the command.
"""
