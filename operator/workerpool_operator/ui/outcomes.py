"""What a button may come to but being done."""


class AskFirstError(Exception):
    """Nothing is done yet: the text is what a person is asked. Who agrees sends it along."""


class StaleError(Exception):
    """What the page showed is not so any more; the text says what is."""


class NotDoneError(Exception):
    """Nobody does it; the text says why, whether it is written, and what to do."""
