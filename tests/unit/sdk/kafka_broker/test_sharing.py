"""Partitions are shared out evenly, and stay where jobs of them run."""

from hypothesis import given
from hypothesis import strategies as st

from workerpool.broker._kafka.sharing import share_out


def test_whoever_comes_first_has_all() -> None:
    assert share_out(range(3), {"a": {}}) == {"a": [0, 1, 2]}


def test_who_comes_gets_the_partitions_in_which_the_fewest_jobs_run() -> None:
    shares = share_out(range(4), {"a": {0: 5, 1: 0, 2: 1, 3: 7}, "b": {}})
    assert {member: sorted(share) for member, share in shares.items()} == {"a": [0, 3], "b": [1, 2]}


def test_who_stays_keeps_what_it_has_when_another_goes() -> None:
    shares = share_out(range(4), {"a": {0: 0}, "c": {3: 0}})
    assert 0 in shares["a"]
    assert 3 in shares["c"]


def test_of_two_who_claim_one_the_one_with_jobs_in_it_keeps_it() -> None:
    assert share_out(range(1), {"a": {0: 1}, "b": {0: 0}}) == {"a": [0], "b": []}


def test_with_more_members_than_partitions_some_have_none() -> None:
    shares = share_out(range(2), {"a": {0: 3, 1: 0}, "b": {}, "c": {}})
    assert sorted(len(share) for share in shares.values()) == [0, 1, 1]
    assert shares["a"] == [0]


@given(
    count=st.integers(0, 12),
    claims=st.dictionaries(
        st.sampled_from("abcdef"), st.dictionaries(st.integers(0, 15), st.integers(0, 9)), min_size=1
    ),
)
def test_each_partition_is_one_members_and_shares_differ_by_one(count: int, claims: dict[str, dict[int, int]]) -> None:
    shares = share_out(range(count), claims)
    assert sorted(number for share in shares.values() for number in share) == list(range(count))
    sizes = [len(share) for share in shares.values()]
    assert len(sizes) == len(claims)
    assert max(sizes) - min(sizes) <= 1
