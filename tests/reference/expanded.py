"""The quantiles of the expanded percentile interval, from scipy's distributions; Hesterberg 2015, arXiv:1411.5279."""

from scipy import stats


def quantiles(level, n):
    further = (n / (n - 1)) ** 0.5 * stats.t(n - 1).ppf(0.5 + level / 2)
    return stats.norm.cdf(-further), stats.norm.cdf(further)
