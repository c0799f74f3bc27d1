"""What becomes of each thing that pydantic writes and a CRD does not take."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import ConfigDict, Field

from workerpool_operator.api._base import Model, Rule, explained, rules
from workerpool_operator.api.schema import structural


class Colour(StrEnum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


class Inner(Model):
    """The inner object."""

    model_config = ConfigDict(json_schema_extra=rules(Rule(cel="self.someSize > 1", message="write 2")))

    some_size: int = Field(default=3, ge=1, description="A size.")


class Plain(Model):
    """An object whose fields have no defaults."""

    word: str | None = Field(default=None, description="A word.")


class Outer(Model):
    """The outer object."""

    inner: Inner = Field(
        default=Inner(),
        description="What it is here.",
        json_schema_extra=rules(Rule(cel="true", message="never said")),
    )
    maybe: Inner | None = Field(default=None, description="Perhaps.")
    plain: Plain = Field(default=Plain(), description="Without defaults.")
    colour: Colour = Field(default=Colour.RED, description="Which colour.")
    only: Literal["one"] = Field(default="one", description="No choice.")
    names: tuple[str, ...] = Field(default=(), max_length=3, description="Names.")
    labels: dict[str, Inner] = Field(default={}, max_length=2, description="By name.")
    either: int | str | None = Field(default=None, description="Two types.")
    shape: str = Field(pattern=r"^\d'$", description="Shape.", json_schema_extra=explained("write a digit"))
    height: int = Field(ge=2, le=9, description="Height.", json_schema_extra=explained("write 2 to 9"))


def fields(*, defaults: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = structural(Outer, defaults=defaults)["properties"]
    return found


def test_names_are_camel_case_and_references_are_written_out() -> None:
    assert fields()["maybe"]["properties"] == {
        "someSize": {"type": "integer", "format": "int64", "minimum": 1, "default": 3, "description": "A size."}
    }


def test_what_is_said_about_the_use_of_a_model_wins_over_what_the_model_says() -> None:
    assert fields()["inner"]["description"] == "What it is here."
    assert fields()["labels"]["additionalProperties"]["description"] == "The inner object."


def test_rules_of_a_model_and_of_its_use_are_both_kept() -> None:
    assert [rule["message"] for rule in fields()["inner"]["x-kubernetes-validations"]] == ["write 2", "never said"]
    assert [rule["message"] for rule in fields()["maybe"]["x-kubernetes-validations"]] == ["write 2"]


def test_an_optional_field_is_one_that_is_not_required() -> None:
    assert fields()["plain"]["properties"]["word"] == {"type": "string", "description": "A word."}
    assert structural(Outer)["required"] == ["shape", "height"]


def test_a_union_is_left_for_the_linter_to_find() -> None:
    assert fields()["either"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]


def test_a_constant_is_a_choice_of_one() -> None:
    assert fields()["only"]["enum"] == ["one"]
    assert "const" not in fields()["only"]


def test_titles_are_dropped() -> None:
    assert "title" not in str(structural(Outer))


def test_an_object_has_the_defaults_of_its_fields_written_out() -> None:
    assert fields()["inner"]["default"] == {"someSize": 3}
    assert fields()["colour"]["default"] == "red"


def test_a_default_that_says_nothing_is_left_out() -> None:
    assert not {"default"} & (set(fields()["plain"]) | set(fields()["names"]) | set(fields()["labels"]))


def test_a_status_has_no_defaults() -> None:
    assert "'default':" not in str(structural(Outer, defaults=False))


def test_a_pattern_with_words_becomes_a_rule_that_says_them() -> None:
    assert fields()["shape"]["x-kubernetes-validations"] == [
        {"rule": r"self.matches('^\\d\'$')", "message": "write a digit"}
    ]
    assert "pattern" not in fields()["shape"]


def test_a_minimum_with_words_becomes_a_rule_that_says_them() -> None:
    assert fields()["height"]["x-kubernetes-validations"] == [{"rule": "self >= 2", "message": "write 2 to 9"}]
    assert "minimum" not in fields()["height"]
    assert fields()["height"]["maximum"] == 9
