import inspect

from pliant.measurement import Options, measure_each


def test_they_are_the_keyword_arguments_of_a_measurement():
    parameters = inspect.signature(measure_each).parameters.values()
    assert set(Options.__annotations__) == {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
