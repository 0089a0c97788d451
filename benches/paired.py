"""Statistics of paired comparisons, shared by the scripts beside it."""

import math


def exact_mcnemar(only_first, only_second):
    """Two-sided probability of a division of the rows that only one of two is right on at least as uneven
    as this one, if each were as likely to be right: a binomial with share 1/2."""
    n, few = only_first + only_second, min(only_first, only_second)
    below = sum(math.comb(n, k) for k in range(few + 1))
    return min(1.0, 2 * below / 2 ** n)


def holm(p):
    """Holm's adjusted p-values, in the order given."""
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = largest
    return adjusted


def wilson(hits, n, z=1.959964):
    """The 95 % interval of a share."""
    share, d = hits / n, 1 + z * z / n
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - half) / d, (middle + half) / d


def paired_t(differences):
    """Mean, half of its 95 % interval and two-sided p-value of differences of pairs, by Student's t. Without
    spread p is 1 if all are 0, else 0."""
    from scipy import stats
    n = len(differences)
    mean = sum(differences) / n
    if n < 2:
        return mean, float("nan"), 1.0
    deviation = math.sqrt(sum((d - mean) ** 2 for d in differences) / (n - 1) / n)
    if deviation == 0.0:
        return mean, 0.0, 1.0 if mean == 0.0 else 0.0
    p = 2 * stats.t.sf(abs(mean) / deviation, n - 1)
    return mean, float(stats.t.ppf(0.975, n - 1)) * deviation, float(p)
