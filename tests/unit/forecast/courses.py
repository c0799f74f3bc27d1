"""Courses of days that look alike, for tests."""

import math

from workerpool_operator.forecast import SEASON_BINS, Course

WIDTH = 300.0
DAY = SEASON_BINS
MONDAY = 20458 * DAY
"""Number of the first bin of a day."""


def usual(number: int) -> float:
    """Jobs per second: 1 at midnight, 11 at noon."""
    return 6.0 - 5.0 * math.cos(2 * math.pi * (number % DAY) / DAY)


def days(count: float, *, first: int = MONDAY) -> Course:
    """So many days of this, from midnight."""
    rates = tuple(usual(first + number) for number in range(int(count * DAY)))
    return Course(width=WIDTH, first=first, rates=rates)


def changed(course: Course, begin: int, end: int, rate: float | None) -> Course:
    """With another rate in these bins, counted from the course's first."""
    rates = tuple(rate if begin <= place < end else old for place, old in enumerate(course.rates))
    return Course(width=course.width, first=course.first, rates=rates)
