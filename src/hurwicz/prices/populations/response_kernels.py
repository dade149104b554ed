"""One pass over arrays of agents: responses, their sum and slope, costs, and gradient steps.

Every agent answers with x_i = clip(s_i z + b_i, lower_i, upper_i) for one number z = sign(p) |p|^(1/(kappa-1)).
Each kernel works on the blocks ``first .. last`` of ``block`` agents and leaves one float64 partial sum a block,
so that the total does not depend on who worked on which block.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hurwicz.prices.populations.jit_kernels import at, inlined, kernel, part


@kernel
def response_sums(s: Any, b: Any, lower: Any, upper: Any, a: Any, n: int, z: float, block: int, first: int, last: int, out: Any) -> None:
    """out[k] = (sum of a_i x_i, sum of a_i s_i over agents strictly between their bounds) of block k."""
    for k in range(first, last):
        total = 0.0
        slope = 0.0
        start, stop = k * block, min(n, (k + 1) * block)
        a_k = part(a, start, stop)
        b_k = part(b, start, stop)
        lower_k = part(lower, start, stop)
        s_k = part(s, start, stop)
        upper_k = part(upper, start, stop)
        for i in range(stop - start):
            lo = np.float64(at(lower_k, i))
            hi = np.float64(at(upper_k, i))
            weight = np.float64(at(a_k, i))
            steep = np.float64(at(s_k, i))
            free = steep * z + np.float64(at(b_k, i))
            x = lo if free < lo else free
            x = hi if x > hi else x
            total += weight * x
            slope += weight * steep if x == free else 0.0
        out[k, 0] = total
        out[k, 1] = slope


@kernel
def responses(s: Any, b: Any, lower: Any, upper: Any, z: float, start: int, out: Any) -> None:
    """out[j] = the response of agent start + j."""
    stop = start + out.shape[0]
    s_k, b_k, lower_k, upper_k = part(s, start, stop), part(b, start, stop), part(lower, start, stop), part(upper, start, stop)
    for i in range(out.shape[0]):
        lo = np.float64(at(lower_k, i))
        hi = np.float64(at(upper_k, i))
        free = np.float64(at(s_k, i)) * z + np.float64(at(b_k, i))
        x = lo if free < lo else free
        out[i] = hi if x > hi else x


@inlined
def cost_of(x: float, curvature: float, linear: float, exponent: float) -> Any:
    """C(x) = c x + lambda |x|^kappa."""
    size = abs(x)
    if exponent == 2.0:
        return linear * x + curvature * size * size
    if exponent == 4.0:
        return linear * x + curvature * (size * size) * (size * size)
    return linear * x + curvature * size**exponent


@inlined
def marginal_of(x: float, curvature: float, linear: float, exponent: float) -> Any:
    """C'(x) = c + kappa lambda sign(x) |x|^(kappa - 1)."""
    if exponent == 2.0:
        return linear + 2.0 * curvature * x
    if exponent == 4.0:
        return linear + 4.0 * curvature * x * x * x
    size = exponent * curvature * abs(x) ** (exponent - 1.0)
    return linear + (size if x >= 0 else -size)


@kernel
def response_costs(
    s: Any, b: Any, lower: Any, upper: Any, curvature: Any, linear: Any, exponent: float,
    n: int, z: float, block: int, first: int, last: int, out: Any,
) -> None:  # fmt: skip
    """out[k] = sum of C_i(x_i(z)) over block k."""
    for k in range(first, last):
        total = 0.0
        start, stop = k * block, min(n, (k + 1) * block)
        b_k = part(b, start, stop)
        curvature_k = part(curvature, start, stop)
        linear_k = part(linear, start, stop)
        lower_k = part(lower, start, stop)
        s_k = part(s, start, stop)
        upper_k = part(upper, start, stop)
        for i in range(stop - start):
            lo = np.float64(at(lower_k, i))
            hi = np.float64(at(upper_k, i))
            free = np.float64(at(s_k, i)) * z + np.float64(at(b_k, i))
            x = lo if free < lo else free
            x = hi if x > hi else x
            total += cost_of(x, np.float64(at(curvature_k, i)), np.float64(at(linear_k, i)), exponent)
        out[k, 0] = total


@kernel
def action_sums(x: Any, curvature: Any, linear: Any, a: Any, exponent: float, n: int, block: int, first: int, last: int, out: Any) -> None:
    """out[k] = (sum of a_i x_i, sum of C_i(x_i)) of block k."""
    for k in range(first, last):
        total = 0.0
        cost = 0.0
        start, stop = k * block, min(n, (k + 1) * block)
        a_k = part(a, start, stop)
        curvature_k = part(curvature, start, stop)
        linear_k = part(linear, start, stop)
        x_k = part(x, start, stop)
        for i in range(stop - start):
            xi = np.float64(x_k[i])
            total += np.float64(at(a_k, i)) * xi
            cost += cost_of(xi, np.float64(at(curvature_k, i)), np.float64(at(linear_k, i)), exponent)
        out[k, 0] = total
        out[k, 1] = cost


@kernel
def quadratic_gradient_step(
    x: Any, curvature: Any, linear: Any, lower: Any, upper: Any, a: Any, price: Any, step: Any, two: Any,
    n: int, block: int, first: int, last: int, out: Any,
) -> None:  # fmt: skip
    """x_i <- clip(x_i + eta (a_i p - c_i - 2 lambda_i x_i)) in the data's own precision; out[k] = float64 sum of a_i x_i.

    The update and the next sum share one pass: an agent costs one read of x, one of lambda and one write of x.
    """
    for k in range(first, last):
        total = 0.0
        start, stop = k * block, min(n, (k + 1) * block)
        a_k = part(a, start, stop)
        curvature_k = part(curvature, start, stop)
        linear_k = part(linear, start, stop)
        lower_k = part(lower, start, stop)
        upper_k = part(upper, start, stop)
        x_k = part(x, start, stop)
        for i in range(stop - start):
            weight = at(a_k, i)
            lo = at(lower_k, i)
            hi = at(upper_k, i)
            free = x_k[i] + step * (weight * price - at(linear_k, i) - two * at(curvature_k, i) * x_k[i])
            new = lo if free < lo else free
            new = hi if new > hi else new
            x_k[i] = new
            total += np.float64(weight) * np.float64(new)
        out[k, 0] = total


@kernel
def power_gradient_step(
    x: Any, curvature: Any, linear: Any, lower: Any, upper: Any, a: Any, price: float, step: float, exponent: float,
    n: int, block: int, first: int, last: int, out: Any,
) -> None:  # fmt: skip
    """The same step for C_i = c_i x + lambda_i |x|^kappa, computed in float64."""
    for k in range(first, last):
        total = 0.0
        start, stop = k * block, min(n, (k + 1) * block)
        a_k = part(a, start, stop)
        curvature_k = part(curvature, start, stop)
        linear_k = part(linear, start, stop)
        lower_k = part(lower, start, stop)
        upper_k = part(upper, start, stop)
        x_k = part(x, start, stop)
        for i in range(stop - start):
            weight = np.float64(at(a_k, i))
            lo = np.float64(at(lower_k, i))
            hi = np.float64(at(upper_k, i))
            xi = np.float64(x_k[i])
            slope = marginal_of(xi, np.float64(at(curvature_k, i)), np.float64(at(linear_k, i)), exponent)
            free = xi + step * (weight * price - slope)
            new = lo if free < lo else free
            new = hi if new > hi else new
            x_k[i] = new
            total += weight * np.float64(x_k[i])
        out[k, 0] = total


@kernel
def accelerated_step(
    x: Any, past: Any, curvature: Any, linear: Any, lower: Any, upper: Any, a: Any, price: float, step: float, momentum: float,
    exponent: float, n: int, block: int, first: int, last: int, out: Any,
) -> None:  # fmt: skip
    """Nesterov: v = x + beta (x - past); past <- x; x <- clip(v + eta (a p - C'(v))); out[k] = sum of a x."""
    for k in range(first, last):
        total = 0.0
        start, stop = k * block, min(n, (k + 1) * block)
        a_k = part(a, start, stop)
        curvature_k = part(curvature, start, stop)
        linear_k = part(linear, start, stop)
        lower_k = part(lower, start, stop)
        past_k = part(past, start, stop)
        upper_k = part(upper, start, stop)
        x_k = part(x, start, stop)
        for i in range(stop - start):
            weight = np.float64(at(a_k, i))
            lo = np.float64(at(lower_k, i))
            hi = np.float64(at(upper_k, i))
            xi = np.float64(x_k[i])
            ahead = xi + momentum * (xi - np.float64(past_k[i]))
            slope = marginal_of(ahead, np.float64(at(curvature_k, i)), np.float64(at(linear_k, i)), exponent)
            free = ahead + step * (weight * price - slope)
            new = lo if free < lo else free
            new = hi if new > hi else new
            past_k[i] = xi
            x_k[i] = new
            total += weight * new
        out[k, 0] = total


@kernel
def sharing_step(
    x: Any, curvature: Any, linear: Any, lower: Any, upper: Any, a: Any, shift: float, rho: float,
    n: int, block: int, first: int, last: int, out: Any,
) -> None:  # fmt: skip
    """Sharing ADMM: x_i <- argmin C_i(x) + rho/2 (a_i x - a_i x_i + shift)², quadratic costs; out[k] = sum of a_i x_i."""
    for k in range(first, last):
        total = 0.0
        start, stop = k * block, min(n, (k + 1) * block)
        a_k = part(a, start, stop)
        curvature_k = part(curvature, start, stop)
        linear_k = part(linear, start, stop)
        lower_k = part(lower, start, stop)
        upper_k = part(upper, start, stop)
        x_k = part(x, start, stop)
        for i in range(stop - start):
            weight = np.float64(at(a_k, i))
            lo = np.float64(at(lower_k, i))
            hi = np.float64(at(upper_k, i))
            goal = weight * np.float64(x_k[i]) - shift
            free = (rho * weight * goal - np.float64(at(linear_k, i))) / (2.0 * np.float64(at(curvature_k, i)) + rho * weight * weight)
            new = lo if free < lo else free
            new = hi if new > hi else new
            x_k[i] = new
            total += weight * new
        out[k, 0] = total


@kernel
def conjugate_product(
    d: Any, curvature: Any, a: Any, product: Any, coupling: float, n: int, block: int, first: int, last: int, out: Any
) -> None:
    """Matrix product: product = (2 Lambda + f'' a aᵀ) d with coupling = f'' (a·d); out[k] = d · product."""
    for k in range(first, last):
        total = 0.0
        start, stop = k * block, min(n, (k + 1) * block)
        a_k = part(a, start, stop)
        curvature_k = part(curvature, start, stop)
        d_k = part(d, start, stop)
        product_k = part(product, start, stop)
        for i in range(stop - start):
            value = 2.0 * np.float64(at(curvature_k, i)) * d_k[i] + coupling * np.float64(at(a_k, i))
            product_k[i] = value
            total += d_k[i] * value
        out[k, 0] = total


@kernel
def conjugate_update(x: Any, r: Any, d: Any, product: Any, alpha: float, n: int, block: int, first: int, last: int, out: Any) -> None:
    """Iterate: x += alpha d, r -= alpha product; out[k] = r · r."""
    for k in range(first, last):
        total = 0.0
        start, stop = k * block, min(n, (k + 1) * block)
        d_k = part(d, start, stop)
        product_k = part(product, start, stop)
        r_k = part(r, start, stop)
        x_k = part(x, start, stop)
        for i in range(stop - start):
            x_k[i] += alpha * d_k[i]
            left = r_k[i] - alpha * product_k[i]
            r_k[i] = left
            total += left * left
        out[k, 0] = total


@kernel
def conjugate_direction(r: Any, d: Any, a: Any, beta: float, n: int, block: int, first: int, last: int, out: Any) -> None:
    """Direction: d <- r + beta d; out[k] = a · d, which is all the coupling needs to know."""
    for k in range(first, last):
        total = 0.0
        start, stop = k * block, min(n, (k + 1) * block)
        a_k = part(a, start, stop)
        d_k = part(d, start, stop)
        r_k = part(r, start, stop)
        for i in range(stop - start):
            new = r_k[i] + beta * d_k[i]
            d_k[i] = new
            total += np.float64(at(a_k, i)) * new
        out[k, 0] = total
