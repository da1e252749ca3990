#!/usr/bin/env python3
"""chi^2 of a scan by the factored route, as one would write it in Python: vectorised with NumPy, or point by point with iminuit.

    baselines.py numpy|iminuit INPUT.json

INPUT.json is what `nuscan bench` writes: templates, backgrounds, data and the points, and chi^2 of nuscan at each of them. Prints JSON:
points_per_s (the best of several repeats, one thread), noise, points, worst (largest |delta chi^2|/(1 + chi^2)), iterations,
version. Exit code 3: a package is missing.
"""

import os

# Before NumPy is there: its libraries read these once.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"):
    os.environ[variable] = "1"

import json
import platform
import statistics
import sys
import time

PACKAGES_MISSING = 3

try:
    import numpy as np
except ImportError as problem:
    print(f"{problem} (on Debian: python3-numpy)", file=sys.stderr)
    sys.exit(PACKAGES_MISSING)

# The same criterion as nuscan's: below it one more full Newton step is the last.
NEWTON_TOLERANCE = 5e-7
# Full steps contract quadratically below this Newton decrement.
FULL_STEP_DECREMENT = 0.25
MOST_STEPS = 200
# Points worked on together, those of whole masses: what suits the caches best is found by trying.
BLOCK_SIZES = (256, 512, 1024, 2048, 4096, 8192, 16384)
# Points that iminuit is timed with.
IMINUIT_POINTS = 192


class Problem:
    """Data and backgrounds of one experiment, the bins sorted by what they ask for."""

    def __init__(self, text):
        given = json.loads(text)
        array = lambda name: np.array(given[name], dtype=float)
        self.poisson = given["statistic"] == "poisson"
        self.signal_sigma = given["signal_sigma"]
        self.sm_total = given["sm_total"]
        self.pull_sigma = array("pull_sigma")
        self.n_pulls = len(self.pull_sigma)
        self.observed = array("observed")
        self.background = array("background")
        self.weight = array("weight")
        self.pulls = array("pull_templates").reshape(self.n_pulls, len(self.observed))
        self.templates = array("templates")  # [mass][monomial][bin]
        self.monomials = array("monomials")  # [coupling][monomial]
        chi2 = [np.nan if value is None else value for value in given["chi2"]]
        self.chi2 = np.array(chi2).reshape(len(self.templates), len(self.monomials))
        self.repeats = given["repeats"]
        self.min_time = given["min_time"]

        # Quadratic form 1/2 sum w (mu - n)^2: its sums over bins of what does not depend on couplings.
        residual = self.background - self.observed
        self.constant = float(np.sum(self.weight * residual**2))
        self.pull_gradient = self.pulls @ (self.weight * residual)
        self.pull_hessian = (self.pulls * self.weight) @ self.pulls.T + np.diag(1.0 / self.pull_sigma**2)
        self.residual_sums = self.templates @ (self.weight * residual)  # [mass][monomial]
        self.pull_sums = self.templates @ (self.pulls * self.weight).T  # [mass][monomial][pull]
        self.square_sums = np.einsum("kai,i,kbi->kab", self.templates, self.weight, self.templates)
        self.total_sums = self.templates.sum(axis=2)
        self.monomial_pairs = np.einsum("ca,cb->abc", self.monomials, self.monomials).reshape(-1, len(self.monomials))

        # Poisson: bins with events and bins without. Arrays over bins and points have the bins first: sums over bins are then products
        # of small matrices with long ones.
        counted = self.observed > 0.0
        self.n = self.observed[counted][:, None]
        self.base = self.background[counted][:, None]
        self.shapes = self.pulls[:, counted]
        self.design = np.column_stack([self.background[counted], self.shapes.T])
        products = [self.shapes[p] * self.shapes[q] for p in range(self.n_pulls) for q in range(p + 1)]
        self.products = np.array(products).reshape(-1, len(self.n))
        self.counted_templates = np.ascontiguousarray(self.templates[:, :, counted].transpose(0, 2, 1))  # [mass][bin][monomial]
        self.pull_totals = self.pulls.sum(axis=1)
        self.empty_sums = self.templates[:, :, ~counted].sum(axis=2)
        self.empty_base = float(self.background[~counted].sum())
        self.empty_pulls = self.pulls[:, ~counted].sum(axis=1)


def solve_lower(hessian, gradient, x_signal):
    """Step to the minimum of the quadratic model with the signal, the last unknown, kept >= 0, by L D L^T; all points at once.

    hessian[a][b] (b <= a) and gradient[a] are arrays over points or numbers. Returns the step and the squared Newton decrement.
    """
    size = len(gradient)
    lower = [[None] * size for _ in range(size)]
    pivot, y = [], []
    decrement = 0.0
    for a in range(size):
        diagonal, right = hessian[a][a], -gradient[a]
        scaled = []
        for b in range(a):
            value = hessian[a][b]
            for k in range(b):
                value = value - scaled[k] * lower[b][k]
            scaled.append(value)
            lower[a][b] = value / pivot[b]
            diagonal = diagonal - value * lower[a][b]
            right = right - lower[a][b] * y[b]
        pivot.append(diagonal)
        y.append(right)
        if a < size - 1:
            decrement = decrement + right * right / diagonal
    step = [None] * size
    for a in reversed(range(size)):
        value = y[a] / pivot[a]
        for k in range(a + 1, size):
            value = value - lower[k][a] * step[k]
        if a == size - 1:
            value = np.maximum(value, -x_signal)
            decrement = decrement + pivot[a] * value * value
        step[a] = value
    return step, decrement


class SignalSums:
    """The signals of a slice of masses and of all couplings, [mass][coupling], as sums over bins; in units of c, which brings a huge
    signal down to the size of the Standard Model's."""

    def __init__(self, problem, masses, couplings=slice(None)):
        m = problem.monomials[couplings].T
        total = problem.total_sums[masses] @ m
        self.inverse_unit = 1.0 / np.maximum(np.abs(total) / problem.sm_total, 1.0)
        self.residual = self.inverse_unit * (problem.residual_sums[masses] @ m)
        self.crossed = [self.inverse_unit * (problem.pull_sums[masses, :, p] @ m) for p in range(problem.n_pulls)]
        pairs = problem.square_sums[masses].reshape(len(total), -1)
        self.square = self.inverse_unit**2 * (pairs @ problem.monomial_pairs[:, couplings])

    def start(self, problem):
        """Unknowns at the minimum of the quadratic form 1/2 sum w (mu - n)^2 and the penalties."""
        penalty = self.inverse_unit / problem.signal_sigma
        gradient = [*problem.pull_gradient, self.residual - penalty / problem.signal_sigma]
        hessian = [[problem.pull_hessian[p, q] for q in range(p + 1)] for p in range(problem.n_pulls)]
        hessian.append([*self.crossed, self.square + penalty * penalty])
        x, _ = solve_lower(hessian, gradient, np.zeros_like(self.square))
        return np.broadcast_arrays(*x)


def gaussian_chi2(problem, masses):
    """chi^2 of Gaussian data: a quadratic form in the unknowns and the monomials; no loop over bins is needed."""
    signal = SignalSums(problem, masses)
    x = signal.start(problem)
    u = x[-1]
    inner = signal.residual
    for p in range(problem.n_pulls):
        inner = inner + x[p] * signal.crossed[p]
    chi2 = problem.constant + u * (2.0 * inner + u * signal.square)
    for p in range(problem.n_pulls):
        row = 2.0 * problem.pull_gradient[p]
        for q in range(problem.n_pulls):
            row = row + x[q] * problem.pull_hessian[p, q]
        chi2 = chi2 + x[p] * row
    chi2 = chi2 + ((u * signal.inverse_unit - 1.0) / problem.signal_sigma) ** 2
    return chi2.ravel(), chi2.size


def poisson_chi2(problem, masses):
    """chi^2 of Poisson data by Newton's method, all points of a block at once, each until it has converged."""
    pulls = range(problem.n_pulls)
    signal = SignalSums(problem, masses)
    inverse_unit = signal.inverse_unit.ravel()
    x = np.array(signal.start(problem)).reshape(problem.n_pulls + 1, -1)
    m = problem.monomials.T
    rate = np.concatenate([templates @ m for templates in problem.counted_templates[masses]], axis=1)
    rate *= inverse_unit
    empty = (problem.empty_sums[masses] @ m).ravel() * inverse_unit

    points = len(empty)
    total = empty + rate.sum(axis=0)
    chi2 = np.empty(points)
    active = np.arange(points)
    last = np.zeros(points, dtype=bool)
    attempts, steps = 0, 0
    while True:
        prediction = rate * x[-1]
        prediction += problem.design @ np.concatenate([np.ones((1, len(active))), x[:-1]])
        if attempts < 2:
            # The approximate minimum may lie where chi^2 is not defined: there without pulls, and then with a larger signal.
            outside = prediction.min(axis=0) <= 0.0
            if outside.any():
                x[:-1, outside] = 0.0
                if attempts == 1:
                    x[-1, outside] = np.max(-2.0 * problem.base / rate[:, outside], axis=0, initial=1.0)
                attempts += 1
                continue
            attempts = 2
        if last.any():
            # Those that arrived: chi^2 from the prediction that is there.
            quotient = prediction.compress(last, axis=1) / problem.n
            there = x.compress(last, axis=1)
            half = problem.n[:, 0] @ (quotient - 1.0 - np.log(quotient))
            half += problem.empty_base + there[-1] * empty[last] + problem.empty_pulls @ there[:-1]
            penalty = ((there[-1] * inverse_unit[last] - 1.0) / problem.signal_sigma) ** 2
            for p in pulls:
                penalty += (there[p] / problem.pull_sigma[p]) ** 2
            chi2[active[last]] = 2.0 * half + penalty
            going = ~last
            active, total, empty, inverse_unit = active[going], total[going], empty[going], inverse_unit[going]
            if len(active) == 0:
                return chi2, steps
            x, rate, prediction = (array.compress(going, axis=1) for array in (x, rate, prediction))
        steps += len(active)
        if steps > MOST_STEPS * points:
            raise RuntimeError(f"{len(active)} points did not converge in {MOST_STEPS} steps")

        # Gradient and Hessian of chi^2/2.
        ratio = problem.n / prediction
        curvature = ratio / prediction
        penalty = inverse_unit / problem.signal_sigma
        gradient = [problem.pull_totals[p] + x[p] / problem.pull_sigma[p] ** 2 for p in pulls] - problem.shapes @ ratio
        gradient = [*gradient, total - np.einsum("ip,ip->p", ratio, rate)
                    + (x[-1] * inverse_unit - 1.0) * penalty / problem.signal_sigma]
        products = problem.products @ curvature
        hessian = [[products[p * (p + 1) // 2 + q] for q in range(p + 1)] for p in pulls]
        for p in pulls:
            hessian[p][p] = hessian[p][p] + 1.0 / problem.pull_sigma[p] ** 2
        curvature *= rate
        hessian.append([*(problem.shapes @ curvature), np.einsum("ip,ip->p", curvature, rate) + penalty * penalty])
        step, squared = solve_lower(hessian, gradient, x[-1])

        # A length that decreases chi^2 and keeps predictions positive (self-concordance: every bin has at least one event).
        decrement = np.sqrt(squared)
        length = np.where(decrement < FULL_STEP_DECREMENT, 1.0, (1.0 + decrement) / (1.0 + decrement + squared))
        x += length * np.array(step)
        last = squared < NEWTON_TOLERANCE


def all_points(problem, masses_at_a_time):
    evaluate = poisson_chi2 if problem.poisson else gaussian_chi2
    n = len(problem.templates)
    chi2, steps = [], 0
    for begin in range(0, n, masses_at_a_time):
        part, more = evaluate(problem, slice(begin, begin + masses_at_a_time))
        chi2.append(part)
        steps += more
    return np.concatenate(chi2), steps


def timings(repeats, min_time, work):
    """Seconds of one call of work() in each repeat, after one that does not count."""
    work()
    seconds = []
    for _ in range(repeats):
        calls, begin = 0, time.perf_counter()
        while True:
            work()
            calls += 1
            elapsed = time.perf_counter() - begin
            if elapsed >= min_time:
                break
        seconds.append(elapsed / calls)
    return seconds


def report(problem, chi2, expected, points, steps, seconds, version):
    compared = np.isfinite(expected)
    deviation = np.abs(chi2 - expected)[compared] / (1.0 + expected[compared])
    worst = float(deviation.max()) if len(deviation) else float("nan")
    print(
        json.dumps(
            {
                "points_per_s": points / min(seconds),
                "noise": statistics.median(seconds) / min(seconds) - 1.0,
                "points": points,
                "worst": worst if np.isfinite(worst) else None,
                "iterations": steps / points,
                "version": f"Python {platform.python_version()}, {version}",
            }
        )
    )


def run_numpy(problem):
    couplings = len(problem.monomials)
    candidates = sorted({min(max(1, size // couplings), len(problem.templates)) for size in BLOCK_SIZES})
    # The block that is fastest on this machine.
    best = min(candidates, key=lambda masses: min(timings(1, 0.25 * problem.min_time, lambda: all_points(problem, masses))))
    chi2, steps = all_points(problem, best)
    seconds = timings(problem.repeats, problem.min_time, lambda: all_points(problem, best))
    report(problem, chi2, problem.chi2.ravel(), chi2.size, steps, seconds, f"NumPy {np.__version__}")


def run_iminuit(problem):
    try:
        import iminuit
    except ImportError as missing:
        print(f"{missing} (with pip: iminuit)", file=sys.stderr)
        sys.exit(PACKAGES_MISSING)

    total = problem.chi2.size
    indices = np.unique(np.linspace(0, total - 1, min(IMINUIT_POINTS, total)).astype(int))
    calls = 0

    def fit(index):
        nonlocal calls
        mass, coupling = divmod(int(index), len(problem.monomials))
        signal = SignalSums(problem, slice(mass, mass + 1), slice(coupling, coupling + 1))
        unit = 1.0 / signal.inverse_unit[0, 0]
        rate = problem.monomials[coupling] @ problem.templates[mass] / unit
        observed, background, pulls = problem.observed, problem.background, problem.pulls
        counted = observed > 0.0
        n = observed[counted]

        def prediction(x):
            return background + x[-1] * rate + x[:-1] @ pulls

        def penalty(x):
            return ((x[-1] / unit - 1.0) / problem.signal_sigma) ** 2 + np.sum((x[:-1] / problem.pull_sigma) ** 2)

        def poisson(x):
            mu = prediction(x)
            positive = mu[counted]
            if positive.min() <= 0.0:
                return 1e12
            quotient = positive / n
            return 2.0 * (mu[~counted].sum() + np.sum(n * (quotient - 1.0 - np.log(quotient)))) + penalty(x)

        def poisson_gradient(x):
            mu = prediction(x)
            slope = np.ones_like(mu)
            slope[counted] -= n / np.maximum(mu[counted], 1e-300)
            return 2.0 * np.append(pulls @ slope, rate @ slope) + penalty_gradient(x)

        def gaussian(x):
            return np.sum(problem.weight * (prediction(x) - observed) ** 2) + penalty(x)

        def gaussian_gradient(x):
            slope = problem.weight * (prediction(x) - observed)
            return 2.0 * np.append(pulls @ slope, rate @ slope) + penalty_gradient(x)

        def penalty_gradient(x):
            signal = (x[-1] / unit - 1.0) / problem.signal_sigma**2 / unit
            return 2.0 * np.append(x[:-1] / problem.pull_sigma**2, signal)

        first = np.array(signal.start(problem)).ravel()
        function, slope = (poisson, poisson_gradient) if problem.poisson else (gaussian, gaussian_gradient)
        if problem.poisson and function(first) >= 1e12:
            first[:-1] = 0.0
            first[-1] = np.max(-2.0 * background[counted] / rate[counted], initial=max(1.0, first[-1]))
        minuit = iminuit.Minuit(function, first, grad=slope)
        minuit.limits[len(first) - 1] = (0.0, None)
        minuit.errors = np.append(problem.pull_sigma, max(1e-3 * abs(first[-1]), min(problem.signal_sigma * unit, 1.0)))
        minuit.errordef = 1.0
        minuit.strategy = 0
        minuit.tol = 1e-6
        minuit.migrad()
        calls += minuit.nfcn
        return minuit.fval

    chi2 = np.array([fit(index) for index in indices])
    steps = calls
    seconds = timings(problem.repeats, 0.0, lambda: [fit(index) for index in indices])
    report(problem, chi2, problem.chi2.ravel()[indices], len(indices), steps, seconds,
           f"iminuit {iminuit.__version__}, NumPy {np.__version__}")


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("numpy", "iminuit"):
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[2], encoding="utf-8") as file:
        problem = Problem(file.read())
    with np.errstate(divide="ignore"):  # a rate of 0, where the smallest sufficient signal is looked for
        run_numpy(problem) if sys.argv[1] == "numpy" else run_iminuit(problem)
    return 0


if __name__ == "__main__":
    sys.exit(main())
