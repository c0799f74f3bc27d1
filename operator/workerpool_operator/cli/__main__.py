"""`python -m workerpool_operator.cli` is `wpool`, also where no script is installed, as in the operator's image."""

from workerpool_operator.cli.start import wpool

if __name__ == "__main__":  # the processes of `wpool bench` load this module, too
    wpool("wpool")
