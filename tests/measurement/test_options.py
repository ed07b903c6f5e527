import inspect

from pliant.measurement import Options, measure, measure_each


def test_they_are_the_keyword_arguments_of_measure():
    for function in (measure, measure_each):
        parameters = inspect.signature(function).parameters.values()
        assert set(Options.__annotations__) == {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
