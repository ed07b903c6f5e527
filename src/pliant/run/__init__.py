"""Executing plans: nets trained and measured, everything kept as records.

`study` carries out a demo, `plan` a plan of cells through an engine, `local` or `ray`. Nothing is loaded before it is
needed: a process that carries out cells must start quickly.
"""
