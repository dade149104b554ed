"""Run in a process of its own: populations on several devices, in one process or two.

    python sharded_run.py                       eight forced devices; checks 2, 4 and 8 of them
    python sharded_run.py ADDRESS COUNT RANK    one of COUNT processes, two devices each

JAX stays in float32 mode on purpose: the sums must be float64 all the same. Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys


def relative(a: float, b: float) -> float:
    return abs(a - b) / abs(b)


def main() -> None:
    several = len(sys.argv) > 1
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={2 if several else 8}"
    os.environ["JAX_ENABLE_X64"] = "0"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import numpy as np

    if several:
        jax.distributed.initialize(coordinator_address=sys.argv[1], num_processes=int(sys.argv[2]), process_id=int(sys.argv[3]))
    from hurwicz.prices.populations import (
        ArrayPopulation,
        GeneratedPopulation,
        QuadraticLoss,
        ShardedPopulation,
        UniformTypes,
        price_newton,
    )

    rng = np.random.default_rng(0)
    n = 100_003
    lam, upper = rng.uniform(0.5, 1.5, n), rng.uniform(0.2, 2.0, n)
    arrays = {
        "array": ArrayPopulation(lam, lower=0.0, upper=upper, weight=rng.uniform(0.5, 1.5, n)),
        "array32": ArrayPopulation(lam.astype(np.float32), lower=0.0, upper=upper.astype(np.float32)),
    }
    generated = {
        f"{design}{kappa:g}": GeneratedPopulation(300_001, UniformTypes((0.5, 1.5), (0.2, 2.0)), design=design, exponent=kappa, seed=5)
        for design in ("weyl", "hash")
        for kappa in (2.0, 4.0)
    }
    worst: dict[str, float] = {}
    for count in (len(jax.devices()),) if several else (2, 4, 8):
        devices = jax.devices()[:count]
        few = (arrays["array"], generated["weyl2"])
        for population in (*arrays.values(), *generated.values()) if count in (4, 8) else few:
            spread = ShardedPopulation(population, devices=devices)
            loss = QuadraticLoss(0.7 * population.size)
            for ours, theirs in zip(spread.sums(1.3), population.sums(1.3), strict=True):
                worst["sums"] = max(worst.get("sums", 0.0), relative(ours, theirs))
            ours, theirs = price_newton(spread, loss).value, price_newton(population, loss).value
            worst["price"] = max(worst.get("price", 0.0), relative(ours.price, theirs.price))
            worst["aggregate"] = max(worst.get("aggregate", 0.0), relative(ours.aggregate, theirs.aggregate))
        for name, population in arrays.items():
            spread = ShardedPopulation(population, devices=devices)
            x = np.full(n, 0.3, dtype=population.dtype)
            held = spread.spread(x)
            for _ in range(5):
                held, ours = spread.gradient_step(held, 1.0, 0.1)
                theirs = population.gradient_step(x, 1.0, 0.1)
            key = "step32" if name == "array32" else "step"
            worst[key] = max(worst.get(key, 0.0), relative(ours, theirs))
            if not several:
                worst[key + "_x"] = max(worst.get(key + "_x", 0.0), float(np.max(np.abs(spread.gather(held) - x))))
    print(json.dumps({"devices": len(jax.devices()), "processes": jax.process_count(), "x64": jax.config.jax_enable_x64, **worst}))


if __name__ == "__main__":
    main()
