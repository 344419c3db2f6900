"""Which locker somebody gets who asks for one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.domain.choosing import Candidate, Why, Wish, rank

SIZES = ("S", "M", "L", "XL")
features = st.frozensets(st.sampled_from(("charging", "low")))
lockers = st.lists(
    st.builds(
        Candidate,
        bank=st.sampled_from("AB"),
        number=st.integers(1, 99).map("{:02}".format),
        size=st.sampled_from(SIZES),
        features=features,
        distance=st.integers(0, 2),
        opened=st.integers(0, 3),
    ),
    max_size=12,
    unique_by=lambda c: (c.bank, c.number),
)
wishes = st.builds(Wish, size=st.sampled_from(SIZES), features=features)


def locker(number: str, size: str = "M", *has: str, distance: int = 0, opened: int = 0) -> Candidate:
    return Candidate(bank="A", number=number, size=size, features=frozenset(has), distance=distance, opened=opened)


def best(*candidates: Candidate, wish: Wish | None = None) -> tuple[str, set[Why]]:
    first = rank(candidates, wish or Wish())[0]
    return first.candidate.number, set(first.why)


@given(lockers, wishes)
def test_everything_that_fits_is_offered_and_nothing_else(candidates: list[Candidate], wish: Wish) -> None:
    ranked = [choice.candidate for choice in rank(candidates, wish)]
    fits = [c for c in candidates if SIZES.index(c.size) >= SIZES.index(wish.size) and wish.features <= c.features]
    assert sorted(ranked, key=lambda c: (c.bank, c.number)) == sorted(fits, key=lambda c: (c.bank, c.number))


@given(lockers, wishes, st.randoms(use_true_random=False))
def test_the_order_in_which_lockers_are_named_does_not_matter(
    candidates: list[Candidate], wish: Wish, random: object
) -> None:
    shuffled = list(candidates)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rank(shuffled, wish) == rank(candidates, wish)


@given(lockers, wishes)
def test_no_nearer_one_that_fits_is_passed_over(candidates: list[Candidate], wish: Wish) -> None:
    distances = [choice.candidate.distance for choice in rank(candidates, wish)]
    assert distances == sorted(distances)


@given(lockers, wishes)
def test_a_scarce_kind_nobody_asked_for_is_given_only_where_nothing_plain_is_as_near(
    candidates: list[Candidate], wish: Wish
) -> None:
    ranked = [choice.candidate for choice in rank(candidates, wish)]
    if not ranked:
        return

    def is_plain(c: Candidate) -> bool:
        return c.features == wish.features and (c.size != "XL" or wish.size == "XL")

    first = ranked[0]
    assert is_plain(first) or not any(is_plain(c) for c in ranked if c.distance == first.distance)


def test_charging_stays_free_for_those_who_need_it() -> None:
    assert best(locker("01", "M", "charging"), locker("02", "M")) == ("02", {Why.SPARES_SCARCE})


def test_who_asks_for_a_low_one_gets_a_low_one() -> None:
    found = best(locker("01"), locker("06", "M", "low"), wish=Wish(features=frozenset({"low"})))
    assert found == ("06", {Why.WANTED})


def test_the_smallest_that_fits_is_taken_first() -> None:
    assert best(locker("01", "L"), locker("02", "M"), wish=Wish(size="M")) == ("02", {Why.FITS})


def test_doors_are_worn_evenly() -> None:
    assert best(locker("01", opened=40), locker("02", opened=12)) == ("02", {Why.LEAST_USED})


def test_near_beats_spared() -> None:
    number, why = best(locker("01", "M", "charging"), locker("30", distance=2))
    assert (number, why) == ("01", {Why.NEAREST})


def test_of_two_scarce_kinds_the_less_scarce_is_given() -> None:
    number, _ = best(locker("01", "M", "low"), locker("02", "M", "charging"), locker("03", "M", "charging"))
    assert number == "02"


def test_nothing_that_fits_is_no_choice() -> None:
    assert rank([locker("01", "S")], Wish(size="XL")) == []
