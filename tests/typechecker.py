"""The checker of the signatures: an int stands for a float, as in Python's own type system."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
