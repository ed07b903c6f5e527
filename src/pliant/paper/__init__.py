"""The study of Ruderman et al. 2018: its plan, its figures, and its claims with verdicts. Loads no torch."""
